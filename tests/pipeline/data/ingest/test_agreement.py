"""What ingest writes, a run takes, however damaged the file was that came in."""

from __future__ import annotations

import functools
import io
import random
import struct

import numpy as np
import pytest
from PIL import Image

from components.image_example_gen import inspection
from components.image_example_gen.options import RecordChecks
from components.image_example_gen.quarantine import QuarantineError
from pipeline.data.ingest import part
from pipeline.data.ingest.sources import Source
from pipeline.data.ingest.transcode import RejectedError
from tests import damage
from tests.conftest import LABELS, Picture
from trainer.features import HEIGHT, IMAGE, WIDTH

# Of any size: the shortest side that comes in is the config's to say.
_CHECKS = RecordChecks(min_side=1)


def _taken(encoded: bytes) -> tuple[bytes, int, int] | None:
    """Returns the image, height and width that ingest writes; None if it rejects the file."""
    source = Source("a", LABELS[0], None, functools.partial(bytes, encoded))
    try:
        example = part.to_example(source, part.prepared(source, None), LABELS)
    except RejectedError:
        return None
    feature = example.features.feature
    (image,) = feature[IMAGE].bytes_list.value
    return image, feature[HEIGHT].int64_list.value[0], feature[WIDTH].int64_list.value[0]


@pytest.mark.parametrize("kind", damage.KINDS)
def test_a_run_takes_what_ingest_writes(picture: Picture, kind: str) -> None:
    rng = random.Random(kind)
    taken = rejected = 0
    for whole in damage.whole(picture, kind):
        for number, damaged in enumerate(damage.damaged(whole, rng)):
            found = _taken(damaged)
            if found is None:
                rejected += 1
                continue
            taken += 1
            image, height, width = found
            try:
                decoded = inspection.decode(image, _CHECKS)
            except QuarantineError as error:
                raise AssertionError(f"number {number}: {error.reason}: {error.detail}") from error
            assert (decoded.height, decoded.width) == (height, width), number
    assert min(taken, rejected) > 20, "the damage is too little or too much to show anything"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
def test_what_follows_a_file_changes_nothing(picture: Picture, kind: str) -> None:
    whole = picture(kind=kind)
    for end in damage.ENDS:
        found = _taken(whole + end)
        assert found is not None
        assert found[0] == whole + end


@pytest.mark.parametrize("missing", [1, 4, 8, 12])
def test_a_png_whose_end_mark_is_missing_comes_in_whole(picture: Picture, missing: int) -> None:
    found = _taken(picture()[:-missing])
    assert found is not None
    decoded = inspection.decode(found[0], _CHECKS)
    assert (decoded.pixels == np.asarray(Image.open(io.BytesIO(picture())))).all()


@pytest.mark.parametrize(("width", "height"), [(20, 20), (60, 50)])
def test_the_size_of_a_gif_is_that_of_its_first_frame(
    picture: Picture, width: int, height: int
) -> None:
    gif = bytearray(picture(40, 30, kind="GIF"))
    gif[6:10] = struct.pack("<HH", width, height)
    found = _taken(bytes(gif))
    assert found is not None
    assert found[1:] == (30, 40)


def test_exif_after_the_pixels_of_a_png_counts(picture: Picture) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    png = picture(40, 30, exif=exif)
    at = png.index(b"eXIf") - 4
    end = at + 12 + struct.unpack(">I", png[at : at + 4])[0]
    late = png[:at] + png[end:-12] + png[at:end] + png[-12:]
    found = _taken(late)
    assert found is not None
    assert found[1:] == (40, 30)
