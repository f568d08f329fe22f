"""Tests of ImageExampleGen."""
