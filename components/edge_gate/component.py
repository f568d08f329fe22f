"""The EdgeGate component: it compares the TensorFlow Lite model with the SavedModel, on `test`."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.types.channel import BaseChannel, Channel
from tfx.utils import io_utils, path_utils

from components import refusal
from trainer import edge, fingerprint, images
from trainer.features import EVALUATION, IMAGE, LABEL, PROBABILITIES

PARITY_FILE, PARITY_KEY = "parity.json", "parity"
_EXAMPLES, _MODEL = "examples", "model"
_MIN_AGREEMENT, _MAX_DROP = "min_agreement", "max_accuracy_drop"
_CODE = "code"
_SPLIT = "test"
_BATCH = 64


@dataclass(frozen=True)
class Parity:
    """How alike two models are on the images of a split.

    Attributes:
        images: how many there are.
        agreement: share of them that both give the same most probable class.
        accuracy: of the SavedModel.
        edge_accuracy: of the TensorFlow Lite model.
        bytes: size of the SavedModel.
        edge_bytes: size of the TensorFlow Lite model.
    """

    images: int
    agreement: float
    accuracy: float
    edge_accuracy: float
    bytes: int
    edge_bytes: int

    def sentence(self) -> str:
        """Says how alike they are, and how large."""
        return (
            f"{edge.FILE}: accuracy {self.edge_accuracy:.4f}, the SavedModel's class for"
            f" {self.agreement:.1%} of {self.images} test images, {self.edge_bytes / 1e6:.1f} of"
            f" {self.bytes / 1e6:.1f} MB"
        )

    def misses(self, min_agreement: float, max_accuracy_drop: float) -> list[str]:
        """Says which bounds are missed, a sentence for each."""
        found = []
        if self.agreement < min_agreement:
            found.append(
                f"{edge.FILE} gives {self.agreement:.4f} of the {self.images} test images the"
                f" class that the SavedModel gives; export.min_agreement is {min_agreement:.4f}"
            )
        drop = self.accuracy - self.edge_accuracy
        if drop > max_accuracy_drop:
            found.append(
                f"{edge.FILE} has an accuracy of {self.edge_accuracy:.4f} on test, {drop:.4f} below"
                f" the SavedModel's; export.max_accuracy_drop is {max_accuracy_drop:.4f}"
            )
        return found


def measure(model: str, examples: str) -> Parity:
    """Compares the two models of a Trainer.

    Args:
        model: folder of the SavedModel, with the TensorFlow Lite model in it.
        examples: folder of transformed examples as gzipped TFRecords.
    """
    evaluate = tf.saved_model.load(model).signatures[EVALUATION]
    with fileio.open(os.path.join(model, edge.FILE), "rb") as file:
        content = file.read()
    description = json.loads(io_utils.read_string_file(os.path.join(model, edge.DESCRIPTION)))
    size, crop = description["input"]["shape"][1], description["crop"]
    features = {
        IMAGE: tf.io.FixedLenFeature([], tf.string),
        LABEL: tf.io.FixedLenFeature([], tf.int64),
    }
    files = sorted(tf.io.gfile.glob(os.path.join(examples, "*")))
    labels, served, converted = [], [], []
    for batch in tf.data.TFRecordDataset(files, compression_type="GZIP").batch(_BATCH):
        parsed = tf.io.parse_example(batch, features)
        labels.append(parsed[LABEL].numpy())
        served.append(evaluate(examples=batch)[PROBABILITIES].numpy().argmax(axis=1))
        pixels = images.load(parsed[IMAGE], size, crop).numpy()
        converted.append(edge.predict(content, pixels).argmax(axis=1))
    truth, ours, theirs = map(np.concatenate, (labels, served, converted))
    return Parity(
        images=len(truth),
        agreement=float((ours == theirs).mean()),
        accuracy=float((ours == truth).mean()),
        edge_accuracy=float((theirs == truth).mean()),
        bytes=_size(model) - len(content),
        edge_bytes=len(content),
    )


def _size(folder: str) -> int:
    return sum(
        tf.io.gfile.stat(os.path.join(parent, file)).length
        for parent, _, files in tf.io.gfile.walk(folder)
        for file in files
    )


class EdgeGateSpec(component_spec.ComponentSpec):
    """What goes into the component and comes out of it."""

    PARAMETERS = {
        _MIN_AGREEMENT: component_spec.ExecutionParameter(type=float),
        _MAX_DROP: component_spec.ExecutionParameter(type=float),
        _CODE: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        _EXAMPLES: component_spec.ChannelParameter(type=standard_artifacts.Examples),
        _MODEL: component_spec.ChannelParameter(type=standard_artifacts.Model),
    }
    OUTPUTS = {PARITY_KEY: component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation)}


class Executor(refusal.Gate):
    """Measures the parity and judges it by the bounds."""

    def judge(
        self,
        inputs: Mapping[str, list[types.Artifact]],
        outputs: Mapping[str, list[types.Artifact]],
        parameters: Mapping[str, Any],
    ) -> list[str]:
        """Writes the parity, and says which bounds it misses."""
        model = artifact_utils.get_single_instance(inputs[_MODEL])
        parity = measure(
            path_utils.serving_model_path(model.uri),
            artifact_utils.get_split_uri(inputs[_EXAMPLES], _SPLIT),
        )
        folder = artifact_utils.get_single_uri(outputs[PARITY_KEY])
        io_utils.write_string_file(
            os.path.join(folder, PARITY_FILE), json.dumps(dataclasses.asdict(parity), indent=1)
        )
        return parity.misses(parameters[_MIN_AGREEMENT], parameters[_MAX_DROP])


class EdgeGate(base_component.BaseComponent):
    """Refuses a TensorFlow Lite model that answers otherwise than the SavedModel."""

    SPEC_CLASS = EdgeGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        examples: BaseChannel,
        model: BaseChannel,
        min_agreement: float,
        max_accuracy_drop: float,
    ) -> None:
        """Declares the component.

        Args:
            examples: channel of transformed `Examples`.
            model: channel of `Model`, from the Trainer.
            min_agreement: least share of images that both models give the same class.
            max_accuracy_drop: by how much the converted model's accuracy may be lower.
        """
        super().__init__(
            EdgeGateSpec(
                examples=examples,
                model=model,
                min_agreement=float(min_agreement),
                max_accuracy_drop=float(max_accuracy_drop),
                # No code reads it; it makes a change of the gate's code miss the cache.
                code=fingerprint.digest(("edge_gate", "refusal.py"), {}, "components"),
                parity=Channel(type=standard_artifacts.ModelEvaluation),
            )
        )
