"""The EdgeGate component: it compares the TensorFlow Lite model with the SavedModel, on `test`."""

import dataclasses
import json
import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import io_utils, path_utils

from components import outage
from components.function_component import component
from components.refusal import Refusal, RefusedError, refuse
from trainer import edge, images
from trainer.features import EVALUATION, IMAGE, LABEL, PROBABILITIES

PARITY_FILE = "parity.json"
_SPLIT = "test"
_BATCH = 64


@dataclass(frozen=True)
class Parity:
    """Comparison of the TensorFlow Lite model with the SavedModel on the test images.

    Attributes:
        images: number of test images.
        agreement: share of images to which both models give the same most probable class.
        accuracy: accuracy of the SavedModel.
        edge_accuracy: accuracy of the TensorFlow Lite model.
        bytes: size of the SavedModel.
        edge_bytes: size of the TensorFlow Lite model.
        unanswered: number of images to which the TensorFlow Lite model gives no finite numbers.
    """

    images: int
    agreement: float
    accuracy: float
    edge_accuracy: float
    bytes: int
    edge_bytes: int
    unanswered: int = 0

    def sentence(self) -> str:
        """Returns accuracy, agreement and sizes as one sentence."""
        return (
            f"{edge.FILE}: accuracy {self.edge_accuracy:.4f}, the SavedModel's class for"
            f" {self.agreement:.1%} of {self.images} test images, {self.edge_bytes / 1e6:.1f} of"
            f" {self.bytes / 1e6:.1f} MB"
        )

    def failed(self, min_agreement: float, max_accuracy_drop: float) -> list[str]:
        """Returns a sentence for each bound that the converted model does not meet."""
        found = []
        if self.unanswered:
            found.append(
                f"{edge.FILE} gives {self.unanswered} of the {self.images} test images no finite"
                " probabilities"
            )
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
    """Compares a SavedModel with the TensorFlow Lite model in the same folder.

    `model` is that folder; `examples` is a folder of transformed examples as gzipped TFRecords.

    Raises:
        RefusedError: the TensorFlow Lite model does not run.
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
    labels, served, converted, unanswered = [], [], [], 0
    for batch in tf.data.TFRecordDataset(files, compression_type="GZIP").batch(_BATCH):
        parsed = tf.io.parse_example(batch, features)
        labels.append(parsed[LABEL].numpy())
        served.append(evaluate(examples=batch)[PROBABILITIES].numpy().argmax(axis=1))
        pixels = images.load(parsed[IMAGE], size, crop).numpy()
        answers = _converted(content, pixels)
        unanswered += int((~np.isfinite(answers)).any(axis=1).sum())
        converted.append(answers.argmax(axis=1))
    truth, ours, theirs = map(np.concatenate, (labels, served, converted))
    return Parity(
        images=len(truth),
        agreement=float((ours == theirs).mean()),
        accuracy=float((ours == truth).mean()),
        edge_accuracy=float((theirs == truth).mean()),
        bytes=_size(model) - len(content),
        edge_bytes=len(content),
        unanswered=unanswered,
    )


def _converted(content: bytes, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Returns the TensorFlow Lite model's probabilities; refuses a model that does not run."""
    try:
        return edge.predict(content, pixels)
    except (ValueError, RuntimeError) as error:  # as the interpreter refuses a model
        first = str(error).partition("\n")[0]
        raise RefusedError(Refusal((f"{edge.FILE} does not run: {first}",))) from error


def _size(folder: str) -> int:
    return sum(
        tf.io.gfile.stat(os.path.join(parent, file)).length
        for parent, _, files in tf.io.gfile.walk(folder)
        for file in files
    )


@component("edge_gate", "refusal.py", "outage.py")
def EdgeGate(  # noqa: N802, a component's name
    examples: InputArtifact[standard_artifacts.Examples],
    model: InputArtifact[standard_artifacts.Model],
    parity: OutputArtifact[standard_artifacts.ModelEvaluation],
    min_agreement: Parameter[float],
    max_accuracy_drop: Parameter[float],
    code: Parameter[str] = "",
) -> None:
    """Refuses a TensorFlow Lite model whose predictions differ too much from the SavedModel's.

    Args:
        examples: the transformed examples.
        model: the Trainer's output, which holds both models.
        parity: gets the `Parity` as `parity.json`.
        min_agreement: lowest share of test images to which both models must give the same class.
        max_accuracy_drop: largest allowed drop in accuracy from SavedModel to TensorFlow Lite.
        code: fingerprint of the code, for the cache key.

    Raises:
        RefusedError: a bound is not met, or the TensorFlow Lite model does not run.
        OutageError: memory runs out, so nothing is judged.
    """
    folder = path_utils.serving_model_path(model.uri)
    with outage.memory_is_the_machine_s(f"{edge.FILE} is compared with the SavedModel"):
        found = measure(folder, artifact_utils.get_split_uri([examples], _SPLIT))
    io_utils.write_string_file(
        os.path.join(parity.uri, PARITY_FILE), json.dumps(dataclasses.asdict(found), indent=1)
    )
    refuse(found.failed(min_agreement, max_accuracy_drop))
