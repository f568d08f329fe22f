"""The pipeline: typed config, input data, graph, local runs, and the history of runs."""
