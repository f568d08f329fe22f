"""The report: one page on what a run brought in, made of it, and thought of it."""
