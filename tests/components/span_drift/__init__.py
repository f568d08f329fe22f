"""Tests of SpanDrift."""
