"""The graph of TFX components, wired once for every runner."""
