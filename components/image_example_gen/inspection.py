"""Decodes each record once, by the model's own function, and decides if it is clean."""

from __future__ import annotations

import functools
import hashlib
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from google.protobuf.message import DecodeError
from PIL import Image

from components import image_file
from components.image_example_gen import labels, measures, quarantine, similarity
from components.image_example_gen.options import RecordChecks, Rules
from components.image_example_gen.quarantine import QuarantineError
from trainer import images

# Images of one size are measured in batches of about so many pixels; more only cost memory.
_PIXELS_AT_ONCE = 1 << 20
# Measures are taken of a smaller picture if a JPEG's shorter side keeps so many pixels in it.
_LEAST_SIDE = 512
# How a file of each kind starts and ends, apart from padding zeros. A BMP has no mark at its end.
_ENDS = {b"\xff\xd8\xff": b"\xff\xd9", b"\x89PNG": b"IEND\xaeB`\x82"}


@dataclass(frozen=True)
class Clean:
    """A record that passed all checks.

    Attributes:
        label: class id.
        measures: the measures of the record's image.
        content: 16 bytes, a digest of the encoded image.
        sketch: see `similarity.pack`.
        bands: see `similarity.bands`.
        key: serialised feature of the image or of its group, which is hashed to find the split;
            empty where records have no group.
    """

    label: int
    measures: measures.Measures
    content: bytes
    sketch: bytes
    bands: list[bytes]
    key: bytes


class Picture(NamedTuple):
    """A decoded image.

    Attributes:
        pixels: uint8 [rows, columns, 3], RGB, upright; of a large JPEG at 1/2, 1/4 or 1/8 of its
            size.
        height: of the upright image itself, in pixels.
        width: likewise.
    """

    pixels: npt.NDArray[np.uint8]
    height: int
    width: int


class _Decoded(NamedTuple):
    position: int
    label: int
    encoded: bytes
    key: bytes
    picture: Picture


def inspect(records: Sequence[bytes], rules: Rules) -> list[Clean | QuarantineError]:
    """Returns for each record, in order, a `Clean` or the reason for quarantine.

    A record should be a serialised tf.Example, but may be any bytes.
    """
    with warnings.catch_warnings():
        # Warnings of protobuf or Pillow are redundant: such a record is quarantined with a reason.
        warnings.simplefilter("ignore", RuntimeWarning)
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
        arrays = [one.picture.pixels for one in batch]
        # A batch of one may be a large image, which `np.stack` would copy.
        pixels = np.stack(arrays) if len(batch) > 1 else arrays[0][None]
        lumas = measures.luma(pixels)
        numbers = measures.measure(pixels, lumas, [len(one.encoded) for one in batch])
        sketches = similarity.sketch(lumas)
        packed, bands = similarity.pack(sketches), similarity.bands(sketches)
        for index, one in enumerate(batch):
            _, height, width = one.picture
            contrast = numbers[index].contrast
            if contrast < rules.checks.min_contrast:
                found[one.position] = QuarantineError(
                    quarantine.NEAR_CONSTANT, f"its contrast is {contrast:.5f}"
                )
                continue
            found[one.position] = Clean(
                label=one.label,
                measures=numbers[index]._replace(height=height, width=width, aspect=width / height),
                content=hashlib.sha256(one.encoded).digest()[:16],
                sketch=packed[index],
                bands=bands[index],
                key=one.key,
            )
    return [verdict for verdict in found if verdict is not None]


def _alike(decoded: Iterable[_Decoded]) -> Iterator[list[_Decoded]]:
    """Groups pixels of the same shape into batches of about `_PIXELS_AT_ONCE` in all."""
    waiting: dict[tuple[int, ...], list[_Decoded]] = {}
    pixels = 0
    for one in decoded:
        waiting.setdefault(one.picture.pixels.shape, []).append(one)
        pixels += one.picture.pixels.size // 3
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
    picture = decode(values[0], rules.checks)
    key = b""
    if rules.group is not None:
        group = features[rules.group] if rules.group in features else features[name]
        # A record without a group is its own group.
        own = group if group.WhichOneof("kind") else features[name]
        key = own.SerializeToString(deterministic=True)
    return _Decoded(position, label, values[0], key, picture)


def decode(encoded: bytes, checks: RecordChecks) -> Picture:
    """Decodes the bytes of an image file with the model's own decoding function.

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
    # Without a header, the size is known from the pixels only.
    least = None if header is None else _LEAST_SIDE
    try:
        pixels = _decoder(checks.max_pixels, least)(tf.constant(encoded)).numpy()
    except (tf.errors.OpError, ValueError) as error:
        raise QuarantineError(*_verdict(encoded, header, error)) from error
    height, width = pixels.shape[:2]
    if header is not None and header.format in ("JPEG", "MPO"):
        # The decoder has turned the picture upright, and the header has not.
        turned = (height - width) * (header.height - header.width) < 0
        width, height = header.size[::-1] if turned else header.size
    if min(height, width) < checks.min_side:
        raise QuarantineError(quarantine.TOO_SMALL, f"{width} x {height} pixels")
    return Picture(pixels, height, width)


@functools.cache
def _decoder(max_pixels: int, least: int | None) -> Callable[[tf.Tensor], tf.Tensor]:
    # A graph function takes a fraction of the time that its many small operations take one by one.
    decoder: Callable[[tf.Tensor], tf.Tensor] = tf.function(
        lambda encoded: images.decode(encoded, max_pixels, least),
        input_signature=[tf.TensorSpec([], tf.string)],
        autograph=False,
    ).get_concrete_function()
    return decoder


def _verdict(encoded: bytes, header: Image.Image | None, error: Exception) -> tuple[str, str]:
    """Returns reason and detail of an image that the decoder refuses."""
    message = _sentence(error)
    if _is_cut(encoded) or "breaks off" in message:
        return quarantine.TRUNCATED, "the end of the file is missing"
    if "too many pixels" in message:
        return quarantine.TOO_LARGE, message
    if "channels" in message:
        return quarantine.WRONG_CHANNELS, message
    kind = header.format if header is not None else "of no known format"
    return quarantine.UNDECODABLE, f"{kind}: {message}"


def _header(encoded: bytes) -> Image.Image | None:
    """Reads an image's header without its pixels; None if Pillow cannot read the header."""
    try:
        return image_file.opened(encoded)
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


def _sentence(error: Exception) -> str:
    """Returns what the graph said, without the names of its nodes."""
    said = str(getattr(error, "message", error)).split("[[{{")[0]
    said = re.sub(r"\{\{[^}]*\}\}|assertion failed: |[][]", "", said)
    return _one_line(said)


def _one_line(message: str) -> str:
    return " ".join(message.split())[:200]
