"""Checks a `.keras` file before Keras opens it, so that loading it runs nothing from the file."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

from trainer.backbones import hdf5_weights, keras_config

_ALLOWED = "allowed: a model that Keras 3 saved as .keras"
_MEMBERS = ("config.json", "metadata.json", "model.weights.h5")
# EfficientNetB7's is 2 MB.
_LARGEST_CONFIG = 16 * 2**20
# Keras stores its members without compression.
_MOST_EXPANSION = 10


def check(path: Path) -> None:
    """Checks archive, config and weights of a local `.keras` file.

    Keras keeps what a layer needs beside its weights, such as a vocabulary, as further members; no
    layer that is allowed here has any. It reads `model.weights.npz` with pickle (up to 3.7), and
    `.h5` files without its safe mode (CVE-2025-9905, up to 3.11.2), whatever their name.

    Raises:
        ValueError: the file is not such an archive, or holds what `keras_config.check` or
            `hdf5_weights.check` refuses; the message says what was found and what is allowed.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError(f"found no zip archive; {_ALLOWED}")
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, path.stat().st_size)
            config = archive.read("config.json")
            weights = archive.read("model.weights.h5")
    # zipfile raises a bare RuntimeError for a member with a password.
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise ValueError(f"found an archive that cannot be read ({error}); {_ALLOWED}") from error
    keras_config.check(_parsed(config))
    hdf5_weights.check(io.BytesIO(weights))


def _parsed(config: bytes) -> Any:
    try:
        return json.loads(config)
    except RecursionError:
        raise ValueError(f"found a config.json {keras_config.TOO_DEEP}") from None
    except ValueError as error:
        raise ValueError(f"found a config.json that is no JSON ({error}); {_ALLOWED}") from error


def _check_members(archive: zipfile.ZipFile, size: int) -> None:
    members = archive.infolist()
    # Sorted, not a set: of two members with one name, readers may take either.
    found = sorted(member.filename for member in members)
    if found != list(_MEMBERS):
        shown = ", ".join(found[:5])[:200]
        raise ValueError(f"found members {shown!r}; allowed: exactly {', '.join(_MEMBERS)}")
    config = archive.getinfo("config.json").file_size
    if config > _LARGEST_CONFIG:
        raise ValueError(
            f"found a config.json of {config} bytes; allowed: at most {_LARGEST_CONFIG}"
        )
    unpacked = sum(member.file_size for member in members)
    if unpacked > _MOST_EXPANSION * size:
        raise ValueError(
            f"found {size} bytes that unpack to {unpacked}; allowed: {_MOST_EXPANSION} times more"
        )
