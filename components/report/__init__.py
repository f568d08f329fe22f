"""Report: one page on a run's data, training, evaluation and outcome."""
