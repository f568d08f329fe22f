"""TFX components of this project: each folder holds a component and its options.

The `__init__.py` files import nothing, so that options load without TFX; import the modules.
"""
