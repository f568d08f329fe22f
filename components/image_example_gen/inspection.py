"""Decodes each record once, by the model's own function, and decides if it is clean."""

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

from components.image_example_gen import labels, measures, quarantine, similarity
from components.image_example_gen.options import RecordChecks, Rules
from components.image_example_gen.quarantine import QuarantineError
from trainer import images

# Images of one size are measured in batches of about so many pixels; more only cost memory.
_PIXELS_AT_ONCE = 1 << 20
# How a file of each kind starts and ends, apart from padding zeros. A BMP has no mark at its end.
_ENDS = {b"\xff\xd8\xff": b"\xff\xd9", b"\x89PNG": b"IEND\xaeB`\x82", b"GIF8": b";"}


@dataclass(frozen=True)
class Clean:
    """A record that passed all checks.

    Attributes:
        label: class id.
        measures: the measures of the record's image.
        content: 16 bytes, a digest of the encoded image.
        sketch: see `similarity.pack`.
        bands: see `similarity.bands`.
        key: serialised feature of the image or of its group, which is hashed to find the split.
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


def inspect(records: Sequence[bytes], rules: Rules) -> list[Clean | QuarantineError]:
    """Returns for each record, in order, a `Clean` or the reason for quarantine.

    A record should be a serialised tf.Example, but may be any bytes.
    """
    with warnings.catch_warnings():
        # Warnings of protobuf or Pillow are redundant: such a record is quarantined with a reason.
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return _inspect(records, rules)


def _inspect(records: Sequence[bytes], rules: Rules) -> list[Clean | QuarantineError]:
    found: list[Clean | QuarantineError | None] = [None] * len(records)

    def decoded() -> Iterator[_Decoded]:
        for position, record in enumerate(records):
            try:
                yield _read(position, record, rules)
            except QuarantineError as error:
                found[position] = error

    for batch in _alike(decoded()):
        arrays = [one.pixels for one in batch]
        # A batch of one may be a large image, which `np.stack` would copy.
        pixels = np.stack(arrays) if len(batch) > 1 else arrays[0][None]
        lumas = measures.luma(pixels)
        numbers = measures.measure(pixels, lumas, [len(one.encoded) for one in batch])
        sketches = similarity.sketch(lumas)
        packed, bands = similarity.pack(sketches), similarity.bands(sketches)
        for index, one in enumerate(batch):
            contrast = numbers[index].contrast
            if contrast < rules.checks.min_contrast:
                found[one.position] = QuarantineError(
                    quarantine.NEAR_CONSTANT, f"its contrast is {contrast:.5f}"
                )
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
    """Groups images of the same size into batches of about `_PIXELS_AT_ONCE` in all."""
    waiting: dict[tuple[int, ...], list[_Decoded]] = {}
    pixels = 0
    for one in decoded:
        waiting.setdefault(one.pixels.shape, []).append(one)
        pixels += one.pixels.size // 3
        if pixels >= _PIXELS_AT_ONCE:
            yield from waiting.values()
            waiting, pixels = {}, 0
    yield from waiting.values()


def _read(position: int, record: bytes, rules: Rules) -> _Decoded:
    example = tf.train.Example()
    try:
        parsed = example.ParseFromString(record)
    except DecodeError:
        parsed = -1
    if parsed != len(record):
        raise QuarantineError(quarantine.NO_EXAMPLE, "the bytes are no tf.Example")
    features = example.features.feature
    name = rules.features.image
    values: Sequence[bytes] = ()
    if name in features:
        values = features[name].bytes_list.value
    if len(values) != 1 or not values[0]:
        raise QuarantineError(
            quarantine.NO_IMAGE, f"{name} has {len(values)} values; allowed: one that has bytes"
        )
    label = labels.settle(example, rules)
    pixels = decode(values[0], rules.checks)
    key = features[name]
    if rules.group is not None and rules.group in features:
        group = features[rules.group]
        # A record without a group is its own group.
        key = group if group.WhichOneof("kind") else key
    return _Decoded(position, label, values[0], key.SerializeToString(deterministic=True), pixels)


def decode(encoded: bytes, checks: RecordChecks) -> npt.NDArray[np.uint8]:
    """Decodes the bytes of an image file with the model's own decoding function.

    Returns:
        uint8 [height, width, 3], RGB.

    Raises:
        QuarantineError: the image cannot be decoded, is truncated, has too many or too few pixels,
            or a number of channels that is not allowed.
    """
    header = _header(encoded)
    if header is not None:
        width, height = header.size
        channels = 3 if header.mode == "P" else len(header.getbands())
        if width * height > checks.max_pixels:
            raise QuarantineError(quarantine.TOO_LARGE, f"{width} x {height} pixels")
        if min(width, height) < checks.min_side:
            raise QuarantineError(quarantine.TOO_SMALL, f"{width} x {height} pixels")
        if channels not in checks.channels:
            raise QuarantineError(quarantine.WRONG_CHANNELS, f"{channels} channels ({header.mode})")
    cut = _is_cut(encoded)
    try:
        pixels: npt.NDArray[np.uint8] = images.decode(tf.constant(encoded)).numpy()
    except (tf.errors.OpError, ValueError) as error:
        message = str(getattr(error, "message", error))
        if cut:
            raise QuarantineError(quarantine.TRUNCATED, "the end of the file is missing") from error
        if "channels" in message:
            raise QuarantineError(quarantine.WRONG_CHANNELS, _one_line(message)) from error
        kind = header.format if header is not None else "of no known format"
        raise QuarantineError(quarantine.UNDECODABLE, f"{kind}: {_one_line(message)}") from error
    # TensorFlow fills in the missing rest of a GIF, and the model would learn from it.
    if cut and encoded.startswith(b"GIF8"):
        raise QuarantineError(quarantine.TRUNCATED, "the end of the file is missing")
    if min(pixels.shape[:2]) < checks.min_side:
        raise QuarantineError(quarantine.TOO_SMALL, f"{pixels.shape[1]} x {pixels.shape[0]} pixels")
    return pixels


def _header(encoded: bytes) -> Image.Image | None:
    """Reads an image's header without its pixels; None if Pillow cannot read the header."""
    try:
        return Image.open(io.BytesIO(encoded))
    except Image.DecompressionBombError as error:
        raise QuarantineError(quarantine.TOO_LARGE, _one_line(str(error))) from error
    except Exception:  # damaged files make Pillow's plug-ins raise anything
        return None


def _is_cut(encoded: bytes) -> bool:
    """Returns whether a file lacks its format's end mark or is shorter than its header states."""
    for start, end in _ENDS.items():
        if encoded.startswith(start):
            return not encoded.rstrip(b"\0").endswith(end)
    if encoded.startswith(b"BM"):
        return len(encoded) < int.from_bytes(encoded[2:6], "little")
    return False


def _one_line(message: str) -> str:
    return " ".join(message.split())[:200]
