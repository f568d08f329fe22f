"""Whole runs of the pipeline, by the command line and in processes of their own."""
