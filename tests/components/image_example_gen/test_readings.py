"""What was found of a file's records goes to those records and to no others."""

from __future__ import annotations

from pathlib import Path

import apache_beam as beam
import pytest

from components.image_example_gen.options import Rules
from components.image_example_gen.readings import Deliver, Inspect
from tests.components.image_example_gen.bring_in import write
from tests.conftest import LABELS, Picture, Record


@pytest.mark.parametrize(
    ("seeds", "told"), [((1, 3), "changed"), ((1,), "shrank"), ((1, 2, 3), "grew")]
)
def test_a_file_that_is_replaced_while_it_is_read_is_named(
    tmp_path: Path, record: Record, picture: Picture, seeds: tuple[int, ...], told: str
) -> None:
    # Made once: a map of features has no order, so the same record may serialize in two ways.
    records = {seed: record(picture(seed=seed), 0) for seed in (1, 2, 3)}

    def put(*seeds: int) -> str:
        return str(write(tmp_path / "a.tfrecord", [records[seed] for seed in seeds]))

    file = (put(1, 2), "train")
    found = Inspect(Rules(labels=LABELS), None).process((b"key", file))
    # Prints of the records go elsewhere.
    verdicts = [one[1] for one in found if not isinstance(one, beam.pvalue.TaggedOutput)]
    groups = {"file": [file], "verdicts": verdicts, "removed": []}
    send = Deliver(Rules(labels=LABELS))
    assert len(list(send.process((b"key", groups)))) == 3  # with a count
    put(*seeds)
    with pytest.raises(RuntimeError, match=f"a.tfrecord {told} while it was read"):
        list(send.process((b"key", groups)))
