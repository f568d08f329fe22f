"""The ServingValidator component: a model is pushed only if a server answers with it as expected.

It replaces TFX's InfraValidator, which needs Docker and does not compile for Kubeflow Pipelines v2,
and it checks more: the served answers must be those that the Evaluator judged.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, channel_utils, component_spec, standard_artifacts
from tfx.types.channel import BaseChannel
from tfx.utils import io_utils, json_utils, path_utils

from components.serving_validator import asking, check, checks, server_process
from components.serving_validator.check import ServingCheck
from components.serving_validator.checks import Floats, Measured
from components.serving_validator.options import Serving
from trainer import fingerprint
from trainer.features import EVALUATION, IMAGE, PROBABILITIES

MODEL_KEY = "model"
EXAMPLES_KEY = "examples"
BLESSING_KEY = "blessing"
LOG_FILE = "server.log"
_OPTIONS_KEY = "options"
_SPLIT = "test"
# What TFX's Pusher looks for.
_BLESSED_KEY = "blessed"
_FILES = {True: "INFRA_BLESSED", False: "INFRA_NOT_BLESSED"}


class ServingValidatorSpec(component_spec.ComponentSpec):
    """What goes into the component and comes out of it."""

    PARAMETERS = {_OPTIONS_KEY: component_spec.ExecutionParameter(type=str)}
    INPUTS = {
        MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model),
        EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {BLESSING_KEY: component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing)}


def validate(
    model: str, examples: Sequence[bytes], labels: Sequence[str], options: Serving, log: Path
) -> ServingCheck:
    """Serves a model and sends it images in every way that its contract offers.

    Args:
        model: the SavedModel's folder.
        examples: serialized transformed examples, which hold the original images too.
        labels: class names; the index in this list is the class id.
        options: tolerance and bounds.
        log: file for the server's output.
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
                measured = Measured(asking.milliseconds(server, images), server.peak_memory_mb())
        except server_process.ServerError as error:
            return ServingCheck((str(error),))
    reasons += checks.exceeded(measured, options)
    return ServingCheck(
        tuple(reasons), measured.percentile(50), measured.percentile(99), measured.memory_mb
    )


class Executor(base_executor.BaseExecutor):
    """Blesses a model with which a server answers as expected."""

    def Do(  # noqa: N802, the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Validates, and writes blessing, check and the server's log.

        Raises:
            ValueError: the split `test` holds no example.
        """
        blessing = artifact_utils.get_single_instance(output_dict[BLESSING_KEY])
        options = json_utils.loads(exec_properties[_OPTIONS_KEY])
        serving = Serving.model_validate(options["serving"])
        examples = _read(input_dict[EXAMPLES_KEY], serving.images)
        model = path_utils.serving_model_path(
            artifact_utils.get_single_instance(input_dict[MODEL_KEY]).uri
        )
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / LOG_FILE
            found = validate(model, examples, options["labels"], serving, log)
            fileio.makedirs(blessing.uri)
            if log.exists():
                io_utils.copy_file(str(log), os.path.join(blessing.uri, LOG_FILE), overwrite=True)
        io_utils.write_string_file(os.path.join(blessing.uri, check.FILE_NAME), found.to_json())
        blessed = not found.reasons
        io_utils.write_string_file(os.path.join(blessing.uri, _FILES[blessed]), "")
        blessing.set_int_custom_property(_BLESSED_KEY, int(blessed))


class ServingValidator(base_component.BaseComponent):
    """Blesses a model if a server loads it and answers as the Evaluator judged it."""

    SPEC_CLASS = ServingValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self, *, model: BaseChannel, examples: BaseChannel, labels: Sequence[str], serving: Serving
    ) -> None:
        """Declares the component.

        Args:
            model: channel of `Model`, the candidate.
            examples: channel of transformed `Examples`.
            labels: class names; the index in this list is the class id.
            serving: the config's section.
        """
        options = {
            "labels": list(labels),
            "serving": serving.model_dump(mode="json"),
            # Nothing reads it, but it lets TFX's cache key change with the code that asks and with
            # the server that answers.
            "code": [
                fingerprint.digest(("serving_validator",), {}, "components"),
                fingerprint.digest(("",), {}, "serving"),
            ],
        }
        super().__init__(
            ServingValidatorSpec(
                model=model,
                examples=examples,
                blessing=channel_utils.as_channel([standard_artifacts.InfraBlessing()]),
                **{_OPTIONS_KEY: json_utils.dumps(options)},
            )
        )


def _read(artifacts: list[types.Artifact], number: int) -> list[bytes]:
    folder = artifact_utils.get_split_uri(artifacts, _SPLIT)
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
    """Returns the probabilities that the Evaluator's signature gives, [images, classes]."""
    evaluate = tf.saved_model.load(model).signatures[EVALUATION]
    return np.asarray(evaluate(examples=tf.constant(list(examples)))[PROBABILITIES], np.float64)


def _listed(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:5])
    return f"{shown}, … ({len(labels)})" if len(labels) > 5 else shown
