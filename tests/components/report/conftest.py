"""A page of made-up data, as large as asked for, and a browser to look at it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.evaluator.class_scores import ClassCounts
from components.evaluator.scorecard import ClassScore
from components.image_example_gen.intake import Copies, Copy, Damage, Intake
from components.report import pictures
from components.report.gallery import (
    ClassPictures,
    Drifted,
    Held,
    Mistake,
    Neighbour,
    Shown,
    Suspect,
)
from components.report.options import Card
from components.report.page import (
    Bin,
    Confusion,
    Curve,
    FeatureSummary,
    Interval,
    Made,
    Metric,
    Page,
    Served,
    SliceScore,
    Step,
    Verdict,
)
from components.serving_validator.check import ServingCheck
from components.span_drift.report import Change, DriftReport
from tests.conftest import Picture as Encode

BIRDS = (
    "bittern",
    "crane",
    "dipper",
    "godwit",
    "lapwing",
    "redshank",
    "shoveler",
    "skylark",
    "wheatear",
    "great crested grebe",
)
_PATIENCE_SECONDS = 300  # of a machine that does other things too
MakePage = Callable[..., Page]


def names(classes: int) -> tuple[str, ...]:
    return BIRDS[:classes] if classes <= len(BIRDS) else tuple(f"bird {i}" for i in range(classes))


@pytest.fixture(scope="session")
def make_page(picture: Encode) -> MakePage:
    """Makes a page with everything on it.

    Takes how many classes, or their names; how file names start; and whatever to replace.
    """

    def make(
        labels: int | tuple[str, ...] = 10, file: str = "estuary/2026/", **changes: Any
    ) -> Page:
        given = names(labels) if isinstance(labels, int) else labels
        return Page(**{**_content(given, picture, file), **changes})

    return make


def _content(labels: tuple[str, ...], encode: Encode, file: str) -> dict[str, Any]:
    count = len(labels)
    random = np.random.default_rng(5)
    matrix = random.poisson(2.0 / count, (count, count)) + np.diag(random.integers(40, 60, count))
    matrix[0, 1] = 12
    scores = ClassCounts.of_matrix(matrix.astype(float)).scores
    rows = zip(labels, matrix.sum(axis=1), *scores.values(), strict=True)
    classes = [ClassScore(label, int(n), *map(float, some), auc=0.97) for label, n, *some in rows]
    small = [pictures.thumbnail(encode(120, 90, seed=seed), 160) for seed in range(12)]
    tiny = [pictures.thumbnail(encode(30, 30, seed=seed), 80) for seed in range(3)]
    images = int(matrix.sum())
    wrong = images - int(np.trace(matrix))
    near = tuple(
        Neighbour(one, labels[1], 0.9 - 0.1 * place, f"{file}{place}.jpg")
        for place, one in enumerate(tiny)
    )
    regions = np.exp(-((np.mgrid[:6, :6] - 2) ** 2).sum(axis=0) / 3).astype(np.float32)
    seen = pictures.looked_at(encode(120, 90), regions, 160)
    shown = tuple(Shown(one, f"{file}{place}.jpg", 0.3) for place, one in enumerate(small[:6]))
    accuracy = 1 - wrong / images
    return {
        "name": "birds",
        "run": "20261123-150000.123456",
        "verdict": Verdict(
            "pushed",
            "Version 1795446000 was pushed. It gets 94.1% of 1,034 test images right, 1.8 points"
            " more than the model in production.",
        ),
        "labels": labels,
        "test_images": images,
        "production": 1795359600,
        "metrics": (
            Metric("accuracy", accuracy, Interval(0.925, 0.956), 0.923, Interval(0.004, 0.032)),
            Metric("top_3_accuracy", 0.99, Interval(0.98, 0.995), 0.99, Interval(-0.005, 0.006)),
            Metric("macro_f1", 0.94, Interval(0.924, 0.955), 0.92, Interval(0.003, 0.031)),
            Metric("macro_precision", 0.941, Interval(0.92, 0.95), 0.95, Interval(-0.02, -0.001)),
            Metric("macro_recall", 0.94, Interval(0.924, 0.955), 0.92, Interval(0.001, 0.031)),
            Metric(
                "expected_calibration_error",
                0.021,
                Interval(0.015, 0.03),
                0.034,
                Interval(-0.02, -0.002),
            ),
        ),
        "classes": tuple(sorted(classes, key=lambda one: one.f1 or 0)),
        "slices": (
            SliceScore("image/source=camera-2", 210, 0.876, 0.87, Interval(0.825, 0.914)),
            SliceScore("image/source=camera-1", 824, 0.951, 0.95, Interval(0.934, 0.964)),
        ),
        "matrix": tuple(tuple(row) for row in matrix.tolist()) if count <= 25 else (),
        "heat_map": pictures.heat_map(matrix / matrix.sum(axis=1)[:, None]) if count > 25 else None,
        "confusions": (Confusion(labels[0], labels[1], 12, 0.19),),
        "bins": tuple(
            Bin(20 * n + 5, (n + 0.5) / 15, (n + 0.1) / 15, Interval(n / 16, (n + 0.7) / 15))
            for n in range(4, 15)
        ),
        "wrong": wrong,
        "mistakes": tuple(
            Mistake(
                picture=one,
                truth=labels[0],
                prediction=labels[1],
                score=0.99 - 0.02 * place,
                truth_score=0.01,
                neighbours=near,
                name=f"{file}test-{place}.jpg",
                seen=seen if place < 6 else None,
                familiarity=0.01 if place % 2 else 0.6,
            )
            for place, one in enumerate(small)
        ),
        "compared": 20_000,
        "suspects": tuple(
            Suspect(one, f"{file}suspect-{place}.jpg", "train", labels[0], labels[1])
            for place, one in enumerate(small[:5])
        ),
        "data": _data(labels, file),
        "held": (
            Held(small[0], "too-small", "12 by 9 pixels", f"{file}small.jpg"),
            Held(pictures.NOTHING, "undecodable", "not a JPEG", "images-00000.tfrecord:3"),
        ),
        "drift": DriftReport(
            span=4,
            previous=3,
            changes=(
                Change(
                    "image/brightness", "Jensen-Shannon divergence", 0.31, 0.1, "mean", 0.5, 0.3
                ),
            ),
        ),
        "features": (
            FeatureSummary("image/brightness", 0.51, 0.31, 0.5, 0.74),
            FeatureSummary("image/sharpness", 0.007686, 0.005585, 0.007843, 0.009743),
            FeatureSummary("image/colourfulness", 0.0, 0.0, 0.0, 0.0),
            FeatureSummary("image/bytes", 48_211.5, 20_120, 44_000, 81_005),
        ),
        "date": 1795446012.0,
        "served": Served(1795446000, 1795446000.0, own=True),
        "samples": tuple(ClassPictures(label, shown[:4]) for label in labels[:40]),
        "drifted": (Drifted("image/brightness", shown),),
        "augmented": small[1],
        "curves": (
            Curve("head", "loss", {"train": (1.2, 0.6, 0.4, 0.3), "val": (0.9, 0.6, 0.5, 0.5)}),
            Curve("head", "accuracy", {"train": (0.6, 0.8, 0.9), "val": (0.7, 0.85, 0.88)}),
        ),
        "temperature": 1.12,
        "serving": ServingCheck((), 8.21, 19.5, 512.4),
        "steps": (
            Step("example-gen", "cached", 0.1, 12_000_000),
            Step("transform", "done", 61.2, 81_000_000),
            Step("trainer", "done", 20.5, 19_500_000),
            Step("evaluator", "done", 12.0, 120_000),
        ),
        "card": Card(intended_use="Tells waders from ducks on photographs of the estuary."),
        "made": Made(
            config={"name": "birds", "trainer": {"mode": "head"}, "backbone": {"name": "lite"}},
            commit="0123456789abcdef0123456789abcdef01234567 + changes",
            fingerprint="split:all,num_files:3,total_bytes:123456,xor_checksum:1,sum_checksum:2",
            packages={"python": "3.10.13", "tensorflow": "2.16.2"},
        ),
    }


def _data(labels: tuple[str, ...], file: str) -> Intake:
    return Intake(
        span=4,
        clean={"train": 4100, "val": 890, "test": 1034},
        classes={
            split: {label: 10 * (place + 1) // share for place, label in enumerate(labels)}
            for split, share in (("train", 1), ("val", 4), ("test", 4))
        },
        quarantined={"too-small": 4, "undecodable": 1},
        removed=3,
        damaged=(Damage("/data/span-4/images-00002.tfrecord", 812, "the checksum is wrong"),),
        exact=Copies(2, 1),
        near=Copies(5, 2),
        conflicting=1,
        examples=(
            Copy(
                "/data/a.tfrecord",
                5,
                "/data/b.tfrecord",
                9,
                ("near", "across"),
                f"{file}copy.jpg",
                f"{file}original.jpg",
            ),
        ),
    )


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Debian's Chromium without a window, driven by selenium."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("chromium and chromedriver are not installed")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-dev-shm-usage",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "hide-scrollbars",
        f"user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    session = webdriver.Chrome(options, webdriver.ChromeService(driver))
    session.set_script_timeout(_PATIENCE_SECONDS)
    yield session
    session.quit()


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], str]:
    """Writes a page to a file and returns its URL."""

    def write(html: str) -> str:
        file = tmp_path / "report.html"
        file.write_text(html, "utf-8")
        return file.as_uri()

    return write
