"""The images that come in: spans, what a TFRecord holds, and ingest."""
