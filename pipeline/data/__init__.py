"""The data that comes in: spans, the first records of a file, and ingest."""
