"""Tests of the Evaluator component."""
