"""The exported model: from encoded images to classes, in one SavedModel for TF Serving."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from trainer import features
from trainer.familiarity import Familiarity
from trainer.scoring import Scorer, graph_function, parse_images


class ImageClassifier(tf.Module):
    """A classifier of encoded images, with one function for each signature."""

    def __init__(
        self,
        scorer: Scorer,
        familiar: Familiarity,
        temperature: float,
        labels_file: str,
        classes: int,
    ) -> None:
        """Loads the class names from `labels_file`, one a line; the SavedModel includes the file.

        `familiar` rates the scorer's embeddings, and `temperature` divides its logits; see
        `calibration.temperature`. `classes` is the number of classes.
        """
        super().__init__()
        self._scorer = scorer
        self._familiar = familiar
        self._temperature = temperature
        self._classes = classes
        self._names = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                tf.saved_model.Asset(labels_file),
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
            ),
            default_value="",
        )

    def _probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(logits / self._temperature)

    @graph_function(tf.TensorSpec([None], tf.string, name=features.IMAGE_BYTES))
    def predict(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classifies encoded images, string [batch].

        Returns:
            `probabilities` float32 [batch, classes]; `label` string [batch], the most probable
            class; `score` float32 [batch], its probability; `familiarity` float32 [batch], see
            `trainer.familiarity`.
        """
        logits, embeddings = self._scorer.images(image_bytes)
        probabilities = self._probabilities(logits)
        return {
            features.PROBABILITIES: probabilities,
            features.PREDICTED_LABEL: self._names.lookup(tf.argmax(probabilities, axis=1)),
            features.SCORE: tf.reduce_max(probabilities, axis=1),
            features.FAMILIARITY: self._familiar.rate(embeddings),
        }

    @graph_function(tf.TensorSpec([None], tf.string, name=features.EXAMPLES))
    def predict_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classifies serialized tf.Examples by `image/encoded`; returns the same as `predict`."""
        outputs: dict[str, tf.Tensor] = self.predict(parse_images(examples))
        return outputs

    @graph_function(tf.TensorSpec([None], tf.string, name=features.INPUTS))
    def classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers TF Serving's Classify API about serialized tf.Examples, string [batch].

        Returns:
            `classes` string and `scores` float32, both [batch, classes], in label order.
        """
        scores = self.predict_examples(inputs)[features.PROBABILITIES]
        names = self._names.lookup(tf.range(self._classes, dtype=tf.int64))
        return {
            features.CLASSES: tf.tile(names[tf.newaxis], [tf.shape(scores)[0], 1]),
            features.SCORES: scores,
        }

    @graph_function(tf.TensorSpec([None], tf.string, name=features.EXAMPLES))
    def evaluate(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classifies serialized examples that Transform wrote, string [batch].

        The Evaluator calls this. Returns `probabilities` float32 [batch, classes], and
        `uncalibrated`, the same at a temperature of 1.
        """
        logits, _ = self._scorer.examples(examples)
        return {
            features.PROBABILITIES: self._probabilities(logits),
            features.UNCALIBRATED: tf.nn.softmax(logits),
        }


def save(
    *,
    scorer: Scorer,
    familiar: Familiarity,
    temperature: float,
    labels: Sequence[str],
    warmup_images: Sequence[bytes],
    directory: str,
) -> None:
    """Writes the SavedModel with its signatures, label asset, warm-up requests and threshold.

    `assets.extra/familiarity.json` states below which familiarity an image is unfamiliar.

    A label's index is its class id. TF Serving classifies `warmup_images`, encoded images, before a
    version becomes available. `directory` may be on any file system that TensorFlow knows.
    """
    with tempfile.TemporaryDirectory() as scratch:
        labels_file = Path(scratch) / "labels.txt"
        labels_file.write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
        classifier = ImageClassifier(scorer, familiar, temperature, str(labels_file), len(labels))
        signatures = {
            features.SERVING_DEFAULT: classifier.predict,
            features.SERVING_EXAMPLES: classifier.predict_examples,
            features.CLASSIFY: classifier.classify,
            features.EVALUATION: classifier.evaluate,
        }
        tf.saved_model.save(classifier, directory, signatures=signatures)
    _name_classify_method(directory)
    folder = f"{directory}/assets.extra"
    tf.io.gfile.makedirs(folder)
    with tf.io.TFRecordWriter(f"{folder}/tf_serving_warmup_requests") as writer:
        for request in _warmup_requests(warmup_images):
            writer.write(request.SerializeToString())
    stated = {"unfamiliar_below": features.UNFAMILIAR_BELOW}
    with tf.io.gfile.GFile(f"{folder}/familiarity.json", "w") as file:
        file.write(json.dumps(stated))


def _name_classify_method(directory: str) -> None:
    # TF Serving's Classify refuses a signature whose method is Predict, the only one that TF2 saves
    # (tensorflow/serving, servables/tensorflow/classifier.cc, PreProcessClassification).
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(directory)
    updater.replace_method_name(
        signature_key=features.CLASSIFY,
        method_name=tf.compat.v1.saved_model.signature_constants.CLASSIFY_METHOD_NAME,
        tags=[tf.saved_model.SERVING],
    )
    updater.save()


def _warmup_requests(images: Sequence[bytes]) -> Iterator[PredictionLog]:
    """Builds requests for the serving signatures, with batches of one image and of all."""
    examples = [tf.train.Example() for _ in images]
    for example, image in zip(examples, images, strict=True):
        example.features.feature[features.IMAGE].bytes_list.value.append(image)
    serialized = [example.SerializeToString() for example in examples]
    for signature, name, values in (
        (features.SERVING_DEFAULT, features.IMAGE_BYTES, list(images)),
        (features.SERVING_EXAMPLES, features.EXAMPLES, serialized),
    ):
        for batch in (values[:1], values):
            log = PredictionLog()
            predict = log.predict_log.request
            predict.model_spec.signature_name = signature
            predict.inputs[name].CopyFrom(tf.make_tensor_proto(batch, tf.string))
            yield log
    log = PredictionLog()
    classify = log.classify_log.request
    classify.model_spec.signature_name = features.CLASSIFY
    classify.input.example_list.examples.extend(examples[:1])
    yield log
