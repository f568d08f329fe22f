"""Whatever a file holds, it is decoded or quarantined with a reason."""

from __future__ import annotations

import struct

import pytest

from components.image_example_gen import inspection
from components.image_example_gen.options import Checks
from components.image_example_gen.quarantine import UNDECODABLE, QuarantineError
from tests.conftest import Picture


def test_what_pillow_stumbles_over_is_undecodable() -> None:
    # Of a DDS file without a pixel format, Pillow says that it is not implemented.
    dds = b"DDS " + struct.pack("<I", 124) + bytes(120)
    with pytest.raises(QuarantineError) as caught:
        inspection.decode(dds, Checks())
    assert caught.value.reason == UNDECODABLE


@pytest.mark.parametrize("exif", [b"II*\0", b"MM\0*\0\0\0"])
def test_exif_that_cannot_be_read_does_no_harm(picture: Picture, exif: bytes) -> None:
    for kind in ("PNG", "JPEG"):
        odd = picture(kind=kind, exif=b"Exif\0\0" + exif, dpi=(72, 72))
        assert inspection.decode(odd, Checks()).pixels.shape == (30, 40, 3)
