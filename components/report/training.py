"""Reads curves, temperature and augmented images from the Trainer's logs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import TENSORS, EventAccumulator

from components.report.gallery import Picture
from components.report.page import Curve
from components.report.pictures import thumbnail
from trainer import contact_sheet
from trainer.train import SUMMARY

_SERIES = {"train": "train", "val": "validation"}
_METRICS = {"epoch_loss": "loss", "epoch_accuracy": "accuracy"}
_SHEET_SIDE = 880


def curves(logs: str) -> tuple[Curve, ...]:
    """Reads loss and accuracy by epoch from TensorBoard's event files; empty if there are none.

    Args:
        logs: folder of the Trainer's `model_run`; each training in it has folders `train` and
            `validation`.
    """
    found = []
    for folder in _trainings(logs):
        series = {name: _scalars(f"{folder}/{child}") for name, child in _SERIES.items()}
        for tag, metric in _METRICS.items():
            values = {name: scalars[tag] for name, scalars in series.items() if tag in scalars}
            if values:
                found.append(Curve(folder[len(logs) :].strip("/") or "training", metric, values))
    return tuple(found)


def temperature(logs: str) -> float | None:
    """Reads the divisor of the logits; None if the Trainer did not write its summary."""
    path = os.path.join(logs, SUMMARY)
    if not tf.io.gfile.exists(path):
        return None
    with tf.io.gfile.GFile(path) as file:
        return float(json.loads(file.read())["temperature"])


def augmented(logs: str) -> Picture | None:
    """Reads the contact sheet of augmented images; None if nothing was augmented."""
    path = os.path.join(logs, contact_sheet.FILE_NAME)
    if not tf.io.gfile.exists(path):
        return None
    with tf.io.gfile.GFile(path, "rb") as file:
        return thumbnail(file.read(), _SHEET_SIDE)


def _trainings(logs: str) -> Iterator[str]:
    for folder, children, _ in tf.io.gfile.walk(logs):
        if "train" in {child.rstrip("/") for child in children}:
            yield folder.rstrip("/")


def _scalars(folder: str) -> dict[str, tuple[float, ...]]:
    if not tf.io.gfile.isdir(folder):
        return {}
    events = EventAccumulator(folder, size_guidance={TENSORS: 0}).Reload()
    return {
        tag: tuple(float(tf.make_ndarray(event.tensor_proto)) for event in events.Tensors(tag))
        for tag in events.Tags()[TENSORS]
        if tag in _METRICS
    }
