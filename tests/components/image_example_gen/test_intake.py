"""The intake survives its JSON, and its sentences name what is wrong."""

from __future__ import annotations

import dataclasses
import json

from components.image_example_gen.intake import Copies, Copy, Damage, Intake, findings

INTAKE = Intake(
    span=2,
    clean={"train": 7, "val": 1, "test": 1},
    classes={"train": {"cat": 7, "owl": 0}, "val": {"cat": 1}, "test": {"owl": 1}},
    quarantined={"truncated": 1, "undecodable": 2},
    removed=1,
    damaged=(Damage("a.tfrecord", 5, "the file ends"),),
    exact=Copies(1, 2),
    near=Copies(3, 4),
    conflicting=1,
    examples=(Copy("a", 1, "b", 2, ("near", "across")),),
)


def test_json_and_back() -> None:
    assert Intake.from_json(INTAKE.as_json()) == INTAKE
    assert json.loads(INTAKE.as_json())["records"] == 13


def test_nothing_is_wrong_within_the_limits() -> None:
    assert findings(INTAKE, 0.5, 0) == []


def test_a_sentence_for_each_limit() -> None:
    share, owl = findings(INTAKE, 0.2, 5)
    assert share == (
        "3 of 13 records (23.1%) are in quarantine: 2 undecodable, 1 truncated;"
        " data.checks.max_quarantined allows 20.0%."
    )
    assert owl == "Class owl has 0 images in train; data.checks.min_class_images asks for 5."


def test_labels_that_may_count_from_one_are_told() -> None:
    classes = {"train": {"cat": 0, "owl": 7}}
    shifted = Intake(0, {"train": 7}, classes, {"unknown-label": 1})
    assert "data.features.label_base" in findings(shifted, 0.5, 1)[-1]
    assert findings(shifted, 0.5, 0) == []
    other = dataclasses.replace(shifted, quarantined={"truncated": 1})
    assert len(findings(other, 0.5, 1)) == 1


def test_an_empty_span_has_a_share() -> None:
    assert Intake(0, {}, {}, {}).quarantined_share == 0
