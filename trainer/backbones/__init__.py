"""Backbones: `catalog` knows their names without TensorFlow, `registry` builds them."""
