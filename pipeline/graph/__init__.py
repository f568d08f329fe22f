"""The graph, wired once for every runner, and what its nodes are made of."""
