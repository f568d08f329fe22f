"""Evaluator: TFX's, with this project's metrics, slice bounds and scorecard.

The component is in `component`; nothing is imported here, so that `scorecard` stays light.
"""
