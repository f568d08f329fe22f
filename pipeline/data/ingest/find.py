"""Which kind of source a word on the command line means."""

from __future__ import annotations

from pathlib import Path

from pipeline.data.ingest import sources, tables, tfds
from pipeline.data.ingest.sources import Origin


def find(source: str, val_share: float) -> Origin:
    """Returns the images that the command line names.

    Args:
        source: "digits", "tfds:NAME", a CSV or JSONL file, or a folder of class folders.
        val_share: share of train that becomes val where there is none; see `sources.settled`.

    Raises:
        ConfigError: there is no such source, or it is not laid out as it should be.
    """
    if source == "digits":
        return sources.digits()
    if source.startswith(tfds.PREFIX):
        return tfds.tfds_set(source.removeprefix(tfds.PREFIX), val_share)
    if Path(source).suffix in tables.SUFFIXES and not Path(source).is_dir():
        return tables.table(Path(source), val_share)
    return sources.folder(Path(source), val_share)
