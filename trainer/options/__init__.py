"""The config's sections about learning: keys with defaults, ranges and descriptions, as plain data.

Each module holds the options of the module of the same name in `trainer`, and `pipeline.config`
composes them. Nothing here loads TensorFlow.
"""
