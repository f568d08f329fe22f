"""Pictures of the images whose labels are most suspect."""

from __future__ import annotations

import os
from collections.abc import Sequence

from components.image_example_gen import naming
from components.report.gallery import Suspect
from components.report.pictures import NOTHING, thumbnail
from components.suspects.report import Suspects
from trainer.features import IMAGE, LABEL
from trainer.input import digest, parsed

_SHOWN = 24
_SIDE = 160


def pictures(transformed: str, found: Suspects, labels: Sequence[str]) -> tuple[Suspect, ...]:
    """Returns the first 24 suspects with their pictures.

    Args:
        transformed: folder of the transformed examples.
        found: the suspects.
        labels: class names; the index in this list is the class id.
    """
    shown = found.found[:_SHOWN]
    wanted = {(one.image.split, one.image.digest) for one in shown}
    images = {}
    for split in {split for split, _ in wanted}:
        missing = {name for at, name in wanted if at == split}
        for batch in parsed([f"{transformed}/Split-{split}/*"], {}):
            for image, label in zip(batch[IMAGE].numpy(), batch[LABEL].numpy(), strict=True):
                name = digest(image, label).hex()
                if name in missing:
                    missing.remove(name)
                    images[split, name] = thumbnail(image, _SIDE)
            if not missing:
                break
    return tuple(
        Suspect(
            picture=images.get((one.image.split, one.image.digest), NOTHING),
            name=naming.readable(os.fsencode(one.image.name)),
            split=one.image.split,
            given=labels[one.image.label],
            suggested=labels[one.suggested],
        )
        for one in shown
    )
