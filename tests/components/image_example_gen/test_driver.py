"""Which files a run reads: those of the newest span, or of a window of spans."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from tfx.components.example_gen import driver as tfx_driver
from tfx.proto import example_gen_pb2, range_config_pb2

from components.image_example_gen.driver import Driver


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Spans 2, 3 and 5, of one file a split."""
    for number in (2, 3, 5):
        for split in ("train", "test"):
            folder = tmp_path / f"span-{number}" / split
            folder.mkdir(parents=True)
            (folder / "a.tfrecord").write_bytes(b"x" * number)
            os.utime(folder / "a.tfrecord", (number, number))
    return tmp_path


def _rolling(number: int) -> range_config_pb2.RangeConfig:
    return range_config_pb2.RangeConfig(
        rolling_range=range_config_pb2.RollingRange(num_spans=number)
    )


def _static(first: int, last: int) -> range_config_pb2.RangeConfig:
    return range_config_pb2.RangeConfig(
        static_range=range_config_pb2.StaticRange(start_span_number=first, end_span_number=last)
    )


def _resolved(
    root: Path,
    spans: range_config_pb2.RangeConfig | None,
    driver: type[tfx_driver.FileBasedDriver] = Driver,
    form: str = "{}/*.tfrecord",
) -> dict[str, Any]:
    """What the driver makes of the component's properties; `form` is the glob of a split."""
    patterns = {name: f"span-{{SPAN}}/{form.format(name)}" for name in ("train", "test")}
    splits = [example_gen_pb2.Input.Split(name=k, pattern=v) for k, v in patterns.items()]
    properties = {
        "input_base": str(root),
        "input_config": json_format.MessageToJson(example_gen_pb2.Input(splits=splits)),
        "range_config": json_format.MessageToJson(spans) if spans else None,
    }
    resolved: dict[str, Any] = driver(None).resolve_exec_properties(properties, None, None)
    return resolved


def _patterns(resolved: dict[str, Any]) -> dict[str, list[str]]:
    splits = json.loads(resolved["input_config"])["splits"]
    return {split["name"]: split["pattern"].split(",") for split in splits}


@pytest.mark.parametrize(
    ("spans", "numbers"), [(_rolling(1), [5]), (_rolling(2), [4, 5]), (_static(2, 3), [2, 3])]
)
def test_splits_may_be_told_by_the_names_of_files(
    tmp_path: Path, spans: range_config_pb2.RangeConfig, numbers: list[int]
) -> None:
    form = "*-{}.tfrecord-*-of-*"
    for number in (2, 3, 5):
        folder = tmp_path / f"span-{number}"
        folder.mkdir()
        for split in ("train", "test"):
            (folder / f"cifar10-{split}.tfrecord-00000-of-00001").touch()
    resolved = _resolved(tmp_path, spans, form=form)
    assert resolved["span"] == numbers[-1]
    assert _patterns(resolved) == {
        split: [f"span-{number}/{form.format(split)}" for number in numbers]
        for split in ("train", "test")
    }


@pytest.mark.parametrize("spans", [None, _rolling(1), _static(3, 3)])
def test_one_span_is_resolved_as_tfx_does(
    root: Path, spans: range_config_pb2.RangeConfig | None
) -> None:
    assert _resolved(root, spans) == _resolved(root, spans, tfx_driver.FileBasedDriver)


@pytest.mark.parametrize(
    ("spans", "newest", "numbers"),
    [
        (_rolling(1), 5, [5]),
        (_rolling(3), 5, [3, 4, 5]),
        (_rolling(9), 5, [0, 1, 2, 3, 4, 5]),
        (_static(2, 3), 3, [2, 3]),
    ],
)
def test_a_window_takes_in_the_spans_before(
    root: Path, spans: range_config_pb2.RangeConfig, newest: int, numbers: list[int]
) -> None:
    resolved = _resolved(root, spans)
    assert resolved["span"] == newest
    assert _patterns(resolved) == {
        split: [f"span-{number}/{split}/*.tfrecord" for number in numbers]
        for split in ("train", "test")
    }


def test_the_fingerprint_is_that_of_all_spans_of_the_window(root: Path) -> None:
    def fingerprints() -> dict[int, str]:
        return {n: _resolved(root, _rolling(n))["input_fingerprint"] for n in (1, 3, 4)}

    before = fingerprints()
    assert len(set(before.values())) == 3
    os.utime(root / "span-3" / "test" / "a.tfrecord", (77, 77))
    after = fingerprints()
    assert after[1] == before[1]
    assert after[3] != before[3]
    # A span that comes in late, too.
    (root / "span-4" / "train").mkdir(parents=True)
    (root / "span-4" / "train" / "a.tfrecord").write_bytes(b"late")
    assert fingerprints()[1] == before[1]
    assert fingerprints()[3] != after[3]
