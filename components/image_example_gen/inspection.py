"""Looks at records: each is decoded once, as the model will, and found clean or refused."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from google.protobuf.message import DecodeError
from PIL import Image

from components.image_example_gen import labels, measures, similarity
from components.image_example_gen.checks import (
    NEAR_CONSTANT,
    NO_EXAMPLE,
    NO_IMAGE,
    TOO_LARGE,
    TOO_SMALL,
    TRUNCATED,
    UNDECODABLE,
    WRONG_CHANNELS,
    Checks,
    RefusedError,
)
from trainer import images
from trainer.features import IMAGE

# How many pixels of images of one size are measured together; more would only cost memory.
_PIXELS_AT_ONCE = 1 << 20
# By which bytes a file of each kind ends, but for a padding of zeros; a BMP has no such mark.
_ENDS = {b"\xff\xd8\xff": b"\xff\xd9", b"\x89PNG": b"IEND\xaeB`\x82", b"GIF8": b";"}


@dataclass(frozen=True)
class Refused:
    """A record that goes into quarantine.

    Attributes:
        reason: one of `checks.REASONS`.
        detail: what was found, in words.
    """

    reason: str
    detail: str


@dataclass(frozen=True)
class Clean:
    """A record that may come in.

    Attributes:
        label: its class id.
        measures: the numbers of its image.
        content: 16 bytes, a digest of the encoded image.
        sketch: see `similarity.pack`.
        bands: see `similarity.bands`.
        key: what decides its split: the image, or the group; see `splits`.
    """

    label: int
    measures: measures.Measures
    content: bytes
    sketch: bytes
    bands: list[bytes]
    key: bytes


class _Decoded(NamedTuple):
    position: int
    label: int
    encoded: bytes
    key: bytes
    pixels: npt.NDArray[np.uint8]


def inspect(records: Sequence[bytes], checks: Checks) -> list[Clean | Refused]:
    """Returns what is found of each record, in their order.

    Args:
        records: serialised tf.Examples, or anything else.
        checks: what is allowed.
    """
    with warnings.catch_warnings():
        # What protobuf and Pillow warn of is refused, with its reason.
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return _inspect(records, checks)


def _inspect(records: Sequence[bytes], checks: Checks) -> list[Clean | Refused]:
    found: list[Clean | Refused | None] = [None] * len(records)

    def decoded() -> Iterator[_Decoded]:
        for position, record in enumerate(records):
            try:
                yield _read(position, record, checks)
            except RefusedError as error:
                found[position] = Refused(error.reason, error.detail)

    for batch in _alike(decoded()):
        arrays = [one.pixels for one in batch]
        # A large image comes alone, and is not copied.
        pixels = np.stack(arrays) if len(batch) > 1 else arrays[0][None]
        lumas = measures.luma(pixels)
        numbers = measures.measure(pixels, lumas, [len(one.encoded) for one in batch])
        sketches = similarity.sketch(lumas)
        packed, bands = similarity.pack(sketches), similarity.bands(sketches)
        for index, one in enumerate(batch):
            contrast = numbers[index].contrast
            if contrast < checks.min_contrast:
                found[one.position] = Refused(NEAR_CONSTANT, f"its contrast is {contrast:.5f}")
                continue
            found[one.position] = Clean(
                label=one.label,
                measures=numbers[index],
                content=hashlib.sha256(one.encoded).digest()[:16],
                sketch=packed[index],
                bands=bands[index],
                key=one.key,
            )
    return [verdict for verdict in found if verdict is not None]


def _alike(decoded: Iterable[_Decoded]) -> Iterator[list[_Decoded]]:
    """Gathers images of one size, as many as fit into `_PIXELS_AT_ONCE`."""
    waiting: dict[tuple[int, ...], list[_Decoded]] = {}
    pixels = 0
    for one in decoded:
        waiting.setdefault(one.pixels.shape, []).append(one)
        pixels += one.pixels.size // 3
        if pixels >= _PIXELS_AT_ONCE:
            yield from waiting.values()
            waiting, pixels = {}, 0
    yield from waiting.values()


def _read(position: int, record: bytes, checks: Checks) -> _Decoded:
    example = tf.train.Example()
    try:
        parsed = example.ParseFromString(record)
    except DecodeError:
        parsed = -1
    if parsed != len(record):
        raise RefusedError(NO_EXAMPLE, "the bytes are no tf.Example")
    features = example.features.feature
    values: Sequence[bytes] = ()
    if IMAGE in features:
        values = features[IMAGE].bytes_list.value
    if len(values) != 1 or not values[0]:
        raise RefusedError(
            NO_IMAGE, f"{IMAGE} has {len(values)} values; allowed: one that has bytes"
        )
    label = labels.settle(example, checks.labels)
    pixels = decode(values[0], checks)
    key = features[IMAGE]
    if checks.group is not None and checks.group in features:
        group = features[checks.group]
        # A record without a group is a group of its own.
        key = group if group.WhichOneof("kind") else key
    return _Decoded(position, label, values[0], key.SerializeToString(deterministic=True), pixels)


def decode(encoded: bytes, checks: Checks) -> npt.NDArray[np.uint8]:
    """Decodes an image by the very function that the model uses.

    Args:
        encoded: the bytes of an image file.
        checks: what is allowed.

    Returns:
        uint8 [height, width, 3], RGB.

    Raises:
        RefusedError: it cannot be decoded, is truncated, has too many or too few pixels or another
            number of channels.
    """
    header = _header(encoded)
    if header is not None:
        width, height = header.size
        channels = 3 if header.mode == "P" else len(header.getbands())
        if width * height > checks.max_pixels:
            raise RefusedError(TOO_LARGE, f"{width} x {height} pixels")
        if min(width, height) < checks.min_side:
            raise RefusedError(TOO_SMALL, f"{width} x {height} pixels")
        if channels not in checks.channels:
            raise RefusedError(WRONG_CHANNELS, f"{channels} channels ({header.mode})")
    cut = _is_cut(encoded)
    try:
        pixels: npt.NDArray[np.uint8] = images.decode(tf.constant(encoded)).numpy()
    except (tf.errors.OpError, ValueError) as error:
        message = str(getattr(error, "message", error))
        if cut:
            raise RefusedError(TRUNCATED, "the end of the file is missing") from error
        if "channels" in message:
            raise RefusedError(WRONG_CHANNELS, _one_line(message)) from error
        kind = header.format if header is not None else "of no known format"
        raise RefusedError(UNDECODABLE, f"{kind}: {_one_line(message)}") from error
    # TensorFlow makes up the missing rest of a GIF, and the model would learn it.
    if cut and encoded.startswith(b"GIF8"):
        raise RefusedError(TRUNCATED, "the end of the file is missing")
    if min(pixels.shape[:2]) < checks.min_side:
        raise RefusedError(TOO_SMALL, f"{pixels.shape[1]} x {pixels.shape[0]} pixels")
    return pixels


def _header(encoded: bytes) -> Image.Image | None:
    """Reads size and kind of an image without its pixels; None if Pillow cannot."""
    try:
        return Image.open(io.BytesIO(encoded))
    except Image.DecompressionBombError as error:
        raise RefusedError(TOO_LARGE, _one_line(str(error))) from error
    except Exception:  # odd and damaged files make Pillow's plug-ins raise anything
        return None


def _is_cut(encoded: bytes) -> bool:
    """Tells whether the mark is missing by which a file of this kind ends."""
    for start, end in _ENDS.items():
        if encoded.startswith(start):
            return not encoded.rstrip(b"\0").endswith(end)
    if encoded.startswith(b"BM"):
        return len(encoded) < int.from_bytes(encoded[2:6], "little")
    return False


def _one_line(message: str) -> str:
    return " ".join(message.split())[:200]
