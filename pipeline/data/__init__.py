"""The input data: finding spans, reading a file's first records, writing spans from images."""
