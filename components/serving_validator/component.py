"""The ServingValidator component: blesses a model if a server with it answers as expected.

It replaces TFX's InfraValidator, which needs Docker and does not compile for Kubeflow Pipelines v2,
and it checks more: served probabilities must be those that the Evaluator evaluated.
"""

# No `from __future__ import annotations` here: TFX reads the annotations of `ServingValidator`.
import os
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf
from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.base import base_component
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.types.channel import BaseChannel
from tfx.types.standard_artifacts import Examples, InfraBlessing, Model
from tfx.utils import io_utils, json_utils, path_utils

from components import outage
from components.outage import OutageError
from components.serving_validator import asking, check, checks, server_process
from components.serving_validator.check import ServingCheck
from components.serving_validator.checks import Floats, Measured
from components.serving_validator.failures import ModelError
from components.serving_validator.options import Serving
from components.serving_validator.server_process import RunningServer
from trainer import fingerprint
from trainer.features import EVALUATION, IMAGE, PROBABILITIES

BLESSING_KEY = "blessing"
LOG_FILE = "server.log"
_SPLIT = "test"
_ROUNDS = 5
# The property and the file names that TFX's Pusher reads.
_BLESSED_KEY = "blessed"
_FILES = {True: "INFRA_BLESSED", False: "INFRA_NOT_BLESSED"}


def validate(
    model: str, examples: Sequence[bytes], labels: Sequence[str], options: Serving, log: Path
) -> ServingCheck:
    """Serves a model, sends it images by REST and gRPC to all signatures, and checks the answers.

    Args:
        model: the SavedModel's folder.
        examples: serialized transformed examples, each with its encoded image; at least one.
        labels: class names; the index in this list is the class id.
        options: tolerance and bounds.
        log: file for the server's output.

    Raises:
        OutageError: the machine keeps the server from its answers.
    """
    images = [_image(example) for example in examples]
    raw = [_example(image) for image in images]
    largest = max(map(len, images))
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as aside:
        io_utils.copy_dir(model, f"{folder}/1")
        try:
            with server_process.serving(folder, log, largest) as server:
                # While the server loads the model, this process does too.
                evaluated = aside.submit(_evaluated, model, examples)
                server.wait(options.load_seconds)
                expected = evaluated.result()
                reasons = []
                for given in asking.answers(server, images, raw):
                    reasons += checks.wrong_answers(given, expected, labels, options.tolerance)
                served = asking.classes(server, raw[0])
                if served != list(labels):
                    reasons.append(
                        f"REST classify: the model's labels are {_listed(served)}; the label list"
                        f" has {_listed(labels)}"
                    )
                measured, own = _measured(server, images, options)
                late = checks.exceeded(measured, options)
                reasons += checks.exceeded(own, options)
                if late and not reasons:
                    raise OutageError(f"other processes slow the server: {'; '.join(late)}")
        except ModelError as error:
            return ServingCheck((str(error),))
    return ServingCheck(
        tuple(reasons), measured.percentile(50), measured.percentile(99), measured.memory_mb
    )


def _measured(
    server: RunningServer, images: Sequence[bytes], options: Serving
) -> tuple[Measured, Measured]:
    """Measures the server; the second result counts only time with a processor."""

    def kept(milliseconds: Floats) -> bool:
        return not checks.exceeded(Measured(milliseconds, 0.0), options)

    taken, own = asking.milliseconds(server, images, kept, _ROUNDS)
    memory = server.peak_memory_mb()
    return Measured(taken, memory), Measured(own, memory)


@component
def ServingValidator(  # noqa: N802, the name of a component
    model: InputArtifact[Model],
    examples: InputArtifact[Examples],
    options: Parameter[str],
    blessing: OutputArtifact[InfraBlessing],
) -> None:
    """Blesses a model if a server loads it and gives the probabilities that were evaluated.

    Args:
        model: the candidate.
        examples: the transformed examples.
        options: JSON from `serving_validator`: labels, config and code fingerprint.
        blessing: gets the blessing, the `ServingCheck` and the server's log.

    Raises:
        ValueError: the `test` split holds no example.
        OutageError: the machine keeps the server from its answers, so nothing is judged.
    """
    content = json_utils.loads(options)
    serving = Serving.model_validate(content["serving"])
    sent = _read(examples, serving.images)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / LOG_FILE
        directory = path_utils.serving_model_path(model.uri)
        try:
            found = validate(directory, sent, content["labels"], serving, log)
        except OutageError:
            # TFX removes what a failed component wrote, so all of the log goes to the run's.
            if log.exists():
                print(log.read_text("utf-8", "replace"), file=sys.stderr)
            raise
        fileio.makedirs(blessing.uri)
        if log.exists():
            io_utils.copy_file(str(log), os.path.join(blessing.uri, LOG_FILE), overwrite=True)
    io_utils.write_string_file(os.path.join(blessing.uri, check.FILE_NAME), found.to_json())
    blessed = not found.reasons
    io_utils.write_string_file(os.path.join(blessing.uri, _FILES[blessed]), "")
    blessing.set_int_custom_property(_BLESSED_KEY, int(blessed))


def serving_validator(
    *, model: BaseChannel, examples: BaseChannel, labels: Sequence[str], serving: Serving
) -> base_component.BaseComponent:
    """Declares the component.

    Args:
        model: channel of `Model`, the candidate.
        examples: channel of transformed `Examples`.
        labels: class names; the index in this list is the class id.
        serving: the config's section `serving`.
    """
    options = {
        "labels": list(labels),
        "serving": serving.model_dump(mode="json"),
        # Nothing reads it, but it lets TFX's cache key change with the code of this component and
        # of our own server.
        "code": [
            fingerprint.digest(("serving_validator", "outage.py"), {}, "components"),
            fingerprint.digest(("",), {}, "serving"),
        ],
    }
    return ServingValidator(model=model, examples=examples, options=json_utils.dumps(options))


def _read(examples: types.Artifact, number: int) -> list[bytes]:
    folder = artifact_utils.get_split_uri([examples], _SPLIT)
    files = sorted(tf.io.gfile.glob(f"{folder}/*"))
    dataset = tf.data.TFRecordDataset(files, compression_type="GZIP").take(number)
    found = list(dataset.as_numpy_iterator())
    if not found:
        raise ValueError(f"{folder}: the {_SPLIT} split holds no example to send to the server")
    return found


def _image(example: bytes) -> bytes:
    features = tf.train.Example.FromString(example).features.feature
    (image,) = features[IMAGE].bytes_list.value
    return bytes(image)


def _example(image: bytes) -> bytes:
    example = tf.train.Example()
    example.features.feature[IMAGE].bytes_list.value.append(image)
    return bytes(example.SerializeToString())


def _evaluated(model: str, examples: Sequence[bytes]) -> Floats:
    """Returns the evaluation signature's probabilities, [images, classes]."""
    with outage.memory_is_the_machine_s("the model computes what it should answer"):
        evaluate = tf.saved_model.load(model).signatures[EVALUATION]
        found = evaluate(examples=tf.constant(list(examples)))[PROBABILITIES]
    return np.asarray(found, np.float64)


def _listed(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:5])
    return f"{shown}, … ({len(labels)})" if len(labels) > 5 else shown
