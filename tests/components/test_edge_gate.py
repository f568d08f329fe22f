"""A conversion passes if it answers like the SavedModel, and is refused with a sentence if not."""

from __future__ import annotations

import dataclasses

from components.edge_gate.component import Parity

PARITY = Parity(
    images=200, agreement=0.95, accuracy=0.9, edge_accuracy=0.87, bytes=400, edge_bytes=100
)


def test_within_both_bounds_it_passes() -> None:
    assert PARITY.misses(0.95, 0.031) == []


def test_each_missed_bound_has_a_sentence() -> None:
    agreement, accuracy = PARITY.misses(0.97, 0.02)
    assert "0.9500 of the 200 test images" in agreement
    assert "export.min_agreement is 0.9700" in agreement
    assert "0.8700 on test, 0.0300 below" in accuracy


def test_a_better_conversion_is_no_drop() -> None:
    assert dataclasses.replace(PARITY, edge_accuracy=0.95).misses(0.9, 0.0) == []
