"""Report: one page on what came in, what was made of it, and how it was judged."""
