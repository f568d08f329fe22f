"""A span is compared with the last one before it that was accepted."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import tensorflow_data_validation as tfdv
from tfx.types import channel_utils, standard_artifacts

from components import statistics_store
from components.image_example_gen import intake
from components.span_drift import comparison, component
from components.span_drift.report import DriftReport

ROWS = 600


def _statistics(file: Path, *, brightness: float = 0.5, cats: float = 0.5, side: int = 32) -> Path:
    random = np.random.default_rng(len(file.parts[-1]))
    table = {
        "image/brightness": random.normal(brightness, 0.1, ROWS).astype(np.float32),
        "image/height": np.full(ROWS, side),
        "image/class/text": np.where(np.arange(ROWS) < cats * ROWS, "cat", "größe"),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    found = tfdv.generate_statistics_from_dataframe(pd.DataFrame(table))
    file.write_bytes(found.SerializeToString())
    return file


def _drive(folder: Path, span: int) -> dict[str, Any]:
    """Returns the execution properties after the driver has run."""
    examples = standard_artifacts.Examples()
    examples.uri = str(folder)
    (folder / intake.FILE_NAME).write_text(intake.Intake(span, {}, {}, {}).as_json(), "utf-8")
    properties = {
        "statistics_store": str(folder / "store"),
        "max_divergence": 0.1,
        "max_label_distance": 0.1,
    }
    found = component.Driver(None).run(
        SimpleNamespace(input_dict={"examples": [examples]}, exec_properties=properties)
    )
    return properties | {
        key: getattr(value, value.WhichOneof("value"))
        for key, value in found.exec_properties.items()
    }


def _compare(folder: Path, span: int) -> DriftReport:
    """Runs the component on the statistics in `folder/Split-train`."""
    examples, statistics = standard_artifacts.Examples(), standard_artifacts.ExampleStatistics()
    drift = standard_artifacts.ExampleAnomalies()
    examples.uri, statistics.uri, drift.uri = str(folder), str(folder), str(folder / "drift")
    statistics.split_names = '["train"]'
    (folder / "drift").mkdir()
    component.SpanDrift.EXECUTOR_SPEC.executor_class().Do(
        {"examples": [examples], "statistics": [statistics]},
        {"drift": [drift]},
        _drive(folder, span),
    )
    return DriftReport.from_json((folder / "drift" / component.FILE_NAME).read_text("utf-8"))


def test_the_first_span_has_nothing_to_differ_from(tmp_path: Path) -> None:
    _statistics(tmp_path / "Split-train" / "FeatureStats.pb")
    assert _compare(tmp_path, 0) == DriftReport(0, None)


def test_what_moved_is_named_from_what_to_what(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    _statistics(tmp_path / "store" / "span-2.pb", brightness=0.25, cats=0.25)
    _statistics(tmp_path / "store" / "span-9.pb")
    _statistics(tmp_path / "Split-train" / "FeatureStats.pb")
    found = _compare(tmp_path, 9)
    assert (found.span, found.previous) == (9, 2)
    brightness, label = sorted(found.changes, key=lambda change: change.feature)
    assert (brightness.feature, brightness.what) == ("image/brightness", "mean")
    assert abs(brightness.before - 0.25) < 0.02
    assert abs(brightness.after - 0.5) < 0.02
    assert (label.feature, label.value) == ("image/class/text", 0.25)
    assert label.what in ("share of cat", "share of größe")
    assert {label.before, label.after} in ({0.25, 0.5}, {0.75, 0.5})


def test_another_span_before_is_not_served_from_the_cache(tmp_path: Path) -> None:
    first = _drive(tmp_path, 2)
    assert (first["previous"], first["previous_digest"]) == (component.NO_SPAN, "")
    store, file = str(tmp_path / "store"), str(tmp_path / "a.pb")
    seen = [first]
    # Its own statistics and those of later spans do not count; another span before does, and so
    # does the same one with other data.
    for span, content, changes in (
        (2, b"one", False),
        (3, b"one", False),
        (0, b"one", True),
        (0, b"two", True),
        (1, b"two", True),
    ):
        Path(file).write_bytes(content)
        statistics_store.publish(file, store, span)
        found = _drive(tmp_path, 2)
        assert (found not in seen) == changes
        seen.append(found)
    assert [found["previous"] for found in seen] == [-1, -1, -1, 0, 0, 1]


def test_the_component_asks_this_driver(tmp_path: Path) -> None:
    node = component.SpanDrift(
        examples=channel_utils.as_channel([standard_artifacts.Examples()]),
        statistics=channel_utils.as_channel([standard_artifacts.ExampleStatistics()]),
        statistics_store=str(tmp_path),
        max_divergence=0.1,
        max_label_distance=0.1,
    )
    assert node.driver_class is component.Driver


def test_spans_alike_do_not_drift(tmp_path: Path) -> None:
    one, two = _statistics(tmp_path / "one.pb"), _statistics(tmp_path / "another.pb")
    load = tfdv.load_stats_binary
    features = ("image/brightness", "image/height", "image/entropy")
    assert comparison.changes(load(str(one)), load(str(two)), features, 0.1, 0.1) == []
    other = _statistics(tmp_path / "other.pb", side=64)
    (change,) = comparison.changes(load(str(one)), load(str(other)), features, 0.1, 0.1)
    assert (change.what, change.before, change.after) == ("mean", 32, 64)


def test_the_store_knows_the_spans_before(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    assert statistics_store.spans(store) == ()
    assert statistics_store.before(store, 3) is None
    for span in (10, 2):
        statistics_store.publish(str(_statistics(tmp_path / "a.pb")), store, span)
    (tmp_path / "store" / ".span-4.partial").write_bytes(b"")
    assert statistics_store.spans(store) == (2, 10)
    assert [statistics_store.before(store, span) for span in (2, 3, 10, 11)] == [None, 2, 2, 10]
    statistics_store.publish(str(_statistics(tmp_path / "b.pb", cats=0.1)), store, 2)
    assert Path(statistics_store.path(store, 2)).read_bytes() == (tmp_path / "b.pb").read_bytes()
