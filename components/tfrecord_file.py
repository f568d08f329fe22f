"""Reads TFRecord files up to the first damaged byte, and reports the damage.

Beam's and TensorFlow's readers raise at the damage and so end the run. This reader yields every
whole record before the damage first. It imports neither Beam nor TensorFlow, so that data can be
checked before such slow imports.

Sources:
    TFRecord framing: https://www.tensorflow.org/tutorials/load_data/tfrecord
"""

import gzip
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

import google_crc32c

_GZIP = b"\x1f\x8b\x08"
_HEADER = struct.Struct("<QI")
# Data is read in pieces of this size, because a damaged length may be far beyond the file's end.
_PIECE_BYTES = 1 << 24


class DamagedError(ValueError):
    """The rest of a file cannot be read; the message says why."""


def records(file: BinaryIO) -> Iterator[bytes]:
    """Yields the records of a TFRecord file, gzipped or plain, whatever its name.

    Args:
        file: a seekable binary file at its start. An empty file has no records.

    Raises:
        DamagedError: the file is truncated, damaged or no TFRecord file. All records before the
            damage are yielded first.
    """
    start = file.read(_HEADER.size)
    file.seek(0)
    gzipped = start.startswith(_GZIP) and not _is_header(start)
    stream = cast(BinaryIO, gzip.GzipFile(fileobj=file, mode="rb")) if gzipped else file
    try:
        yield from _framed(stream)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DamagedError(f"its compression is damaged: {error}") from error


def _is_header(header: bytes) -> bool:
    """Returns whether `header` starts a record: 8 bytes of length, and 4 bytes of its checksum."""
    if len(header) < _HEADER.size:
        return False
    checksum: int = _HEADER.unpack(header)[1]
    return masked_checksum(header[:8]) == checksum


def _framed(stream: BinaryIO) -> Iterator[bytes]:
    while header := _read(stream, _HEADER.size):
        if len(header) < _HEADER.size:
            raise DamagedError("the file ends in the middle of it")
        if not _is_header(header):
            raise DamagedError(
                "the checksum of its length does not match: this is no TFRecord file, or damaged"
            )
        length, _ = _HEADER.unpack(header)
        data, footer = _read(stream, length), _read(stream, 4)
        if len(data) < length or len(footer) < 4:
            raise DamagedError("the file ends in the middle of it")
        if masked_checksum(data) != struct.unpack("<I", footer)[0]:
            raise DamagedError("the checksum of its data does not match: the file is damaged")
        yield data


def _read(stream: BinaryIO, length: int) -> bytes:
    if length <= _PIECE_BYTES:
        return stream.read(length)
    pieces = []
    while length > 0 and (piece := stream.read(min(length, _PIECE_BYTES))):
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


def masked_checksum(data: bytes) -> int:
    """Returns TFRecord's checksum: CRC32C, rotated and offset as the format requires."""
    checksum: int = google_crc32c.value(data)
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF
