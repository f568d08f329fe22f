"""Running the pipeline on this machine: the run, its progress, its log, its summary."""
