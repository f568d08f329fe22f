"""Evaluator: TFX's, with this project's metrics, slice bounds and scorecard."""

from components.evaluator.component import Evaluator

__all__ = ["Evaluator"]
