"""The exported model: the transform graph and the head in one SavedModel that TF Serving takes."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import keras
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_serving.apis import classification_pb2, predict_pb2, prediction_log_pb2

from trainer import preprocessing

# The signature that the Evaluator uses. TF Serving offers it too, which does no harm.
EVALUATION = "evaluation"
_CLASSIFY = "classify"

_Method = TypeVar("_Method", bound=Callable[..., Any])


def _graph_function(specification: tf.TensorSpec) -> Callable[[_Method], _Method]:
    # Without AutoGraph, which would take seconds to rewrite Python that has nothing to rewrite.
    return tf.function(input_signature=[specification], autograph=False)  # type: ignore[no-any-return]


class ImageClassifier(tf.Module):
    """A classifier of encoded images, with one function for each signature."""

    def __init__(
        self,
        head: keras.Model,
        transform: tft.TFTransformOutput,
        labels_file: str,
        classes: int,
        embedding: str,
    ) -> None:
        """Puts the parts together.

        Args:
            head: float32 [batch, dimension] to logits [batch, classes].
            transform: the graph that makes embeddings.
            labels_file: class names, one a line; the file travels inside the SavedModel.
            classes: number of classes.
            embedding: name under which the transform graph puts embeddings out.
        """
        super().__init__()
        # The head stays out of the attributes and its TensorFlow variables take its place: Keras
        # saves a variable of its own as a copy, which alone is restored, while the functions go on
        # to read the original. TensorFlow 2 sees through that; TF Serving, which runs the restore
        # operation of the graph, would find the original uninitialized.
        self._logits = functools.partial(head, training=False)
        self._head_variables = [variable.value for variable in head.variables]
        self._dimension = head.input_shape[-1]
        self._embed = _embedder(transform, embedding)
        self._embedding = embedding
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

    def _probabilities(self, embedding: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(self._logits(embedding))

    @_graph_function(tf.TensorSpec([None], tf.string, name="image_bytes"))
    def predict(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classifies encoded images.

        Args:
            image_bytes: string [batch].

        Returns:
            `probabilities` float32 [batch, classes]; `label` string [batch], the most probable
            class; `score` float32 [batch], its probability.
        """
        probabilities = self._probabilities(self._embed(image_bytes))
        return {
            "probabilities": probabilities,
            "label": self._names.lookup(tf.argmax(probabilities, axis=1)),
            "score": tf.reduce_max(probabilities, axis=1),
        }

    @_graph_function(tf.TensorSpec([None], tf.string, name="examples"))
    def predict_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classifies serialized tf.Examples by `image/encoded`; returns what `predict` does."""
        outputs: dict[str, tf.Tensor] = self.predict(_parse_images(examples))
        return outputs

    @_graph_function(tf.TensorSpec([None], tf.string, name="inputs"))
    def classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers TF Serving's Classify API.

        Args:
            inputs: string [batch], serialized tf.Examples.

        Returns:
            `classes` string and `scores` float32, both [batch, classes], in label order.
        """
        scores = self.predict_examples(inputs)["probabilities"]
        names = self._names.lookup(tf.range(self._classes, dtype=tf.int64))
        return {"classes": tf.tile(names[tf.newaxis], [tf.shape(scores)[0], 1]), "scores": scores}

    @_graph_function(tf.TensorSpec([None], tf.string, name="examples"))
    def evaluate(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classifies transformed examples without embedding their images a second time.

        An example that another backbone embedded holds no embedding of ours, for its name carries
        the fingerprint of what made it. Such a batch is embedded from its image bytes, as happens
        to a production model that is compared with a candidate on a new backbone.

        Args:
            examples: string [batch], serialized examples as Transform writes them.

        Returns:
            `probabilities` float32 [batch, classes].
        """
        parsed = tf.io.parse_example(
            examples,
            {
                preprocessing.IMAGE: tf.io.FixedLenFeature([], tf.string),
                self._embedding: tf.io.RaggedFeature(tf.float32),
            },
        )
        rows = parsed[self._embedding]
        embedding = tf.cond(
            tf.reduce_all(rows.row_lengths() == self._dimension),
            lambda: rows.to_tensor(shape=[None, self._dimension]),
            lambda: self._embed(parsed[preprocessing.IMAGE]),
        )
        embedding = tf.ensure_shape(embedding, [None, self._dimension])
        return {"probabilities": self._probabilities(embedding)}


def _embedder(transform: tft.TFTransformOutput, embedding: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the part of the transform graph that leads from image bytes to embeddings.

    It is a graph function, so that the signatures share one trace, and the layer stays out of the
    module's attributes: TensorFlow would otherwise save the layer too, in Keras's own format, which
    takes longer than all else. The graph holds constants only, so it needs nothing of the layer;
    had it a variable, saving would fail.
    """
    layer = transform.transform_features_layer()

    @_graph_function(tf.TensorSpec([None], tf.string))
    def embed(image_bytes: tf.Tensor) -> tf.Tensor:
        return layer({preprocessing.IMAGE: tf.expand_dims(image_bytes, axis=1)})[embedding]

    return embed


def _parse_images(examples: tf.Tensor) -> tf.Tensor:
    features = {preprocessing.IMAGE: tf.io.FixedLenFeature([], tf.string)}
    return tf.io.parse_example(examples, features)[preprocessing.IMAGE]


def save(
    *,
    head: keras.Model,
    transform: tft.TFTransformOutput,
    labels: Sequence[str],
    embedding: str,
    warmup_images: Sequence[bytes],
    directory: str,
) -> None:
    """Writes the SavedModel with its signatures, label asset and warm-up requests.

    Args:
        head: see `ImageClassifier`.
        transform: see `ImageClassifier`.
        labels: class names; the index in this list is the class id.
        embedding: see `ImageClassifier`.
        warmup_images: encoded images; TF Serving answers each once before a version is available.
        directory: the SavedModel's folder, local or on any file system that TensorFlow knows.
    """
    with tempfile.TemporaryDirectory() as scratch:
        labels_file = Path(scratch) / "labels.txt"
        labels_file.write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
        classifier = ImageClassifier(head, transform, str(labels_file), len(labels), embedding)
        tf.saved_model.save(
            classifier,
            directory,
            signatures={
                tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY: classifier.predict,
                "serving_examples": classifier.predict_examples,
                _CLASSIFY: classifier.classify,
                EVALUATION: classifier.evaluate,
            },
        )
    _name_classify_method(directory)
    _write_warmup(directory, warmup_images)


def _name_classify_method(directory: str) -> None:
    # TF Serving's Classify refuses a signature whose method is Predict, the only one that TF2 saves
    # (tensorflow/serving, servables/tensorflow/classifier.cc, PreProcessClassification).
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(directory)
    updater.replace_method_name(
        signature_key=_CLASSIFY,
        method_name=tf.compat.v1.saved_model.signature_constants.CLASSIFY_METHOD_NAME,
        tags=[tf.saved_model.SERVING],
    )
    updater.save()


def _write_warmup(directory: str, images: Sequence[bytes]) -> None:
    folder = f"{directory}/assets.extra"
    tf.io.gfile.makedirs(folder)
    with tf.io.TFRecordWriter(f"{folder}/tf_serving_warmup_requests") as writer:
        for request in _warmup_requests(images):
            writer.write(request.SerializeToString())


def _warmup_requests(images: Sequence[bytes]) -> list[prediction_log_pb2.PredictionLog]:
    """Builds a request for every signature, and for batches of one and of all images."""
    examples = [
        tf.train.Example(
            features=tf.train.Features(
                feature={
                    preprocessing.IMAGE: tf.train.Feature(
                        bytes_list=tf.train.BytesList(value=[image])
                    )
                }
            )
        )
        for image in images
    ]
    serialized = [example.SerializeToString() for example in examples]
    requests = []
    for signature, name, values in (
        (tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY, "image_bytes", list(images)),
        ("serving_examples", "examples", serialized),
    ):
        for batch in (values[:1], values):
            predict = predict_pb2.PredictRequest()
            predict.model_spec.signature_name = signature
            predict.inputs[name].CopyFrom(tf.make_tensor_proto(batch, tf.string))
            predict_log = prediction_log_pb2.PredictLog(request=predict)
            requests.append(prediction_log_pb2.PredictionLog(predict_log=predict_log))
    classify = classification_pb2.ClassificationRequest()
    classify.model_spec.signature_name = _CLASSIFY
    classify.input.example_list.examples.extend(examples[:1])
    classify_log = prediction_log_pb2.ClassifyLog(request=classify)
    requests.append(prediction_log_pb2.PredictionLog(classify_log=classify_log))
    return requests
