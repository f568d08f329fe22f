"""Past runs: how each ended, what a version was made of, how two runs compare."""
