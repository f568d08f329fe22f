"""TFX components of this project: a folder each, with its options, spec, driver and executor.

The packages import nothing, so that options load without TFX. Importers name the module.
"""
