"""What runs: the typed config, the graph, running it here, and what ran."""
