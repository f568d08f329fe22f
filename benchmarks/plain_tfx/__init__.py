"""The baseline: an image pipeline of TFX's standard parts, as people commonly write it."""
