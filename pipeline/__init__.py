"""What runs: the typed config, the checks before a run, the graph and the command line."""
