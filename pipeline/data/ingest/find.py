"""Finds the source that the command line names."""

from pathlib import Path

from pipeline.data.ingest import sources, tables, tfds
from pipeline.data.ingest.sources import Origin


def find(source: str, val_share: float) -> Origin:
    """Returns the images and class names of a source.

    Args:
        source: "digits", "tfds:NAME", a CSV, TSV or JSONL file, or a folder of class folders.
        val_share: share of train that becomes val if the source has no val; see
            `sources.settled`.

    Raises:
        ConfigError: the source does not exist or has the wrong layout.
    """
    if source == "digits":
        return sources.digits()
    if source.startswith(tfds.PREFIX):
        return tfds.tfds_set(source.removeprefix(tfds.PREFIX), val_share)
    if Path(source).suffix.lower() in tables.SUFFIXES and not Path(source).is_dir():
        return tables.table(Path(source), val_share)
    return sources.folder(Path(source), val_share)
