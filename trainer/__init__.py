"""What is learnt: preprocessing, backbones, heads, input, training loop, tuner, export."""
