"""TFX components of this project: a folder each, with its spec, driver if any, and executor."""
