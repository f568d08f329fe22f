"""Learning: preprocessing, backbones, heads, input, training loop, tuner and export."""
