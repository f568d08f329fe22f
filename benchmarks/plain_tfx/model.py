"""The functions that the plain pipeline's Transform and Trainer call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.public import tfxio

from trainer.features import EXAMPLES, IMAGE, LABEL, PROBABILITIES, SERVING_DEFAULT

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs

_PIXELS, _LABEL = "image_xf", "label_xf"
_BATCH = 64


def preprocessing_fn(
    inputs: Mapping[str, tf.Tensor], custom_config: Mapping[str, Any]
) -> dict[str, tf.Tensor]:
    """Decodes and resizes images, dense string [batch, 1], to pixels that Transform writes out."""
    size = custom_config["size"]

    def pixels(encoded: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
        resized = tf.image.resize(image, (size, size))
        return keras.applications.mobilenet.preprocess_input(resized)

    result = tf.TensorSpec([size, size, 3], tf.float32)
    images = tf.map_fn(pixels, tf.reshape(inputs[IMAGE], [-1]), fn_output_signature=result)
    return {_PIXELS: images, _LABEL: inputs[LABEL]}


def run_fn(fn_args: FnArgs) -> None:
    """Trains a dense layer on a frozen MobileNet for one epoch; exports both and Transform."""
    size, classes = fn_args.custom_config["size"], fn_args.custom_config["classes"]
    transform = tft.TFTransformOutput(fn_args.transform_output)

    def batches(files: list[str]) -> tf.data.Dataset:
        options = tfxio.TensorFlowDatasetOptions(batch_size=_BATCH, num_epochs=1, label_key=_LABEL)
        schema = transform.transformed_metadata.schema
        return fn_args.data_accessor.tf_dataset_factory(files, options, schema)

    # ImageNet weights would have to be downloaded; random weights take the same time.
    backbone = keras.applications.MobileNet(
        input_shape=(size, size, 3), include_top=False, pooling="avg", weights=None
    )
    backbone.trainable = False
    images = keras.Input((size, size, 3), name=_PIXELS)
    embeddings = backbone(images, training=False)
    probabilities = keras.layers.Dense(classes, activation="softmax")(embeddings)
    model = keras.Model({_PIXELS: images}, probabilities)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    train, val = batches(fn_args.train_files), batches(fn_args.eval_files)
    model.fit(train, validation_data=val, epochs=1, verbose=2)

    model.transform = transform.transform_features_layer()
    specification = transform.raw_feature_spec()
    specification.pop(LABEL)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=EXAMPLES)])
    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        features = model.transform(tf.io.parse_example(examples, specification))
        return {PROBABILITIES: model({_PIXELS: features[_PIXELS]}, training=False)}

    tf.saved_model.save(model, fn_args.serving_model_dir, signatures={SERVING_DEFAULT: serve})
