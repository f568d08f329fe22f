"""Evaluator: TFX's Evaluator, with this project's metrics, slice bounds and scorecard."""
