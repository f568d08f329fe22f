"""Suspects: images of train, val and test whose labels may be wrong."""
