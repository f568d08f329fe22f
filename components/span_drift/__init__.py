"""SpanDrift: compares a span with the span before it."""
