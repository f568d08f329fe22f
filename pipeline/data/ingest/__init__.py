"""`retrain ingest`: turns images into a span of TFRecords that keeps the data contract."""

from pathlib import Path


def spans_there(root: Path) -> set[int]:
    """Returns the numbers of the spans in a data root."""
    names = (folder.name.removeprefix("span-") for folder in root.glob("span-*"))
    return {int(name) for name in names if name.isdecimal()}
