"""A span is compared with the last one before it that was accepted."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from tfx.types import channel_utils, standard_artifacts

from components import statistics_store
from components.image_example_gen import intake
from components.span_drift import component, sample
from components.span_drift.options import Drift
from components.span_drift.report import DriftReport
from trainer.features import MEASURED

CLASSES = {"cat": 40, "größe": 40}


def _pixels(number: int, scale: float = 1.0) -> npt.NDArray[np.uint8]:
    random = np.random.default_rng(number)
    images = random.integers(0, 255, (80, 8, 8, 3)) * random.uniform(0.5, 1, (80, 1, 1, 1))
    return (images * scale).astype(np.uint8)


def _span(folder: Path, span: int, pixels: npt.NDArray[np.uint8]) -> Path:
    """Writes what ImageExampleGen hands over."""
    (folder / "Split-train").mkdir(parents=True)
    came_in = intake.Intake(span, {"train": len(pixels)}, {"train": CLASSES}, {})
    (folder / intake.FILE_NAME).write_text(came_in.as_json(), "utf-8")
    path = str(folder / "Split-train" / "data_tfrecord-00000-of-00001.gz")
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for one in pixels:
            example = tf.train.Example()
            features = example.features.feature
            features["image/encoded"].bytes_list.value.append(tf.io.encode_png(one).numpy())
            for name in MEASURED:
                features[name].float_list.value.append(float(one.mean()) / 255)
            writer.write(example.SerializeToString())
    return folder


def _drive(folder: Path, store: Path) -> dict[str, Any]:
    """Returns the execution properties after the driver has run."""
    examples = standard_artifacts.Examples()
    examples.uri = str(folder)
    properties = {"statistics_store": str(store), "options": Drift().model_dump_json()}
    found = component.Driver(None).run(
        SimpleNamespace(input_dict={"examples": [examples]}, exec_properties=properties)
    )
    return properties | {
        key: getattr(value, value.WhichOneof("value"))
        for key, value in found.exec_properties.items()
    }


def _compare(folder: Path, store: Path) -> DriftReport:
    examples, drift = standard_artifacts.Examples(), standard_artifacts.ExampleAnomalies()
    examples.uri, drift.uri = str(folder), str(folder / "drift")
    examples.split_names = '["train"]'
    (folder / "drift").mkdir()
    component.SpanDrift.EXECUTOR_SPEC.executor_class().Do(
        {"examples": [examples]}, {"drift": [drift]}, _drive(folder, store)
    )
    return DriftReport.from_json((folder / "drift" / component.FILE_NAME).read_text("utf-8"))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with span 2, which the first span's own comparison fills."""
    first = _span(tmp_path / "first", 2, _pixels(0))
    assert _compare(first, tmp_path / "store") == DriftReport(2, None)
    kept = first / "drift" / component.SAMPLE_FILE
    statistics_store.publish(str(kept), str(tmp_path / "store"), 2)
    return tmp_path / "store"


def test_spans_alike_do_not_drift(tmp_path: Path, store: Path) -> None:
    found = _compare(_span(tmp_path / "next", 9, _pixels(1)), store)
    assert (found.span, found.previous, found.changes) == (9, 2, ())
    assert found.images == (80, 80)
    assert "none found" in found.sentence()


def test_what_moved_is_named_from_what_to_what(tmp_path: Path, store: Path) -> None:
    found = _compare(_span(tmp_path / "next", 9, _pixels(1, 0.5)), store)
    (brightness,) = [one for one in found.changes if one.feature == "image/brightness"]
    assert brightness.before == pytest.approx(2 * brightness.after, rel=0.1)
    assert brightness.p is not None
    assert brightness.p < 0.01
    assert brightness.images == (80, 80)
    assert {"looks"} <= {one.feature for one in found.changes}
    assert "image/class/text" not in {one.feature for one in found.changes}


def test_a_few_images_make_no_claim(tmp_path: Path, store: Path) -> None:
    found = _compare(_span(tmp_path / "next", 9, _pixels(1, 0.5)[:19]), store)
    assert (found.changes, found.tests, found.images) == ((), 0, (80, 19))
    assert "too few images to tell" in found.sentence()


def test_a_sample_does_not_hang_on_the_order_and_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "MOST", 30)
    pixels = _pixels(0)
    one, other = (
        sample.take([str(file)], CLASSES)
        for name, part in (("a", pixels), ("b", pixels[::-1]))
        for file in (_span(tmp_path / name, 0, part) / "Split-train").iterdir()
    )
    assert len(one) == 30
    np.testing.assert_array_equal(one.measures, other.measures)
    one.save(str(tmp_path / "kept.npz"))
    again = sample.load(str(tmp_path / "kept.npz"))
    assert again.classes == CLASSES
    np.testing.assert_array_equal(again.looks, one.looks)


def test_another_span_before_is_not_served_from_the_cache(tmp_path: Path) -> None:
    folder, store = _span(tmp_path / "span", 2, _pixels(0)[:1]), tmp_path / "store"
    first = _drive(folder, store)
    assert (first["previous"], first["previous_digest"]) == (component.NO_SPAN, "")
    file = tmp_path / "a.npz"
    seen = [first]
    # Its own sample and those of later spans do not count; another span before does, and so
    # does the same one with other data.
    for span, content, changes in (
        (2, b"one", False),
        (3, b"one", False),
        (0, b"one", True),
        (0, b"two", True),
        (1, b"two", True),
    ):
        file.write_bytes(content)
        statistics_store.publish(str(file), str(store), span)
        found = _drive(folder, store)
        assert (found not in seen) == changes
        seen.append(found)
    assert [found["previous"] for found in seen] == [-1, -1, -1, 0, 0, 1]


def test_the_component_asks_this_driver(tmp_path: Path) -> None:
    node = component.SpanDrift(
        examples=channel_utils.as_channel([standard_artifacts.Examples()]),
        statistics_store=str(tmp_path),
        options=Drift(),
    )
    assert node.driver_class is component.Driver


def test_the_store_knows_the_spans_before(tmp_path: Path) -> None:
    store, file = str(tmp_path / "store"), tmp_path / "a.npz"
    assert statistics_store.spans(store) == ()
    assert statistics_store.before(store, 3) is None
    for span in (10, 2):
        file.write_bytes(b"one")
        statistics_store.publish(str(file), store, span)
    (tmp_path / "store" / ".span-4.partial").write_bytes(b"")
    assert statistics_store.spans(store) == (2, 10)
    assert [statistics_store.before(store, span) for span in (2, 3, 10, 11)] == [None, 2, 2, 10]
    file.write_bytes(b"two")
    statistics_store.publish(str(file), store, 2)
    assert Path(statistics_store.path(store, 2)).read_bytes() == b"two"
