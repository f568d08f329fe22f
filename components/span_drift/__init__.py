"""SpanDrift: compares a span with the one before."""

from components.span_drift.component import SpanDrift

__all__ = ["SpanDrift"]
