"""What a model looked at is where covering lowers its score, however it computes the score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.report import attention, pictures
from tests.conftest import Picture as Encode


def save_model(folder: Path, familiar: bool = True) -> None:
    """Saves a model of three classes that sees only how bright the top left quarter is."""

    class Corner(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
        def predict(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
            def light(encoded: tf.Tensor) -> tf.Tensor:
                image = tf.io.decode_image(encoded, 3, expand_animations=False)
                image = tf.cast(image, tf.float32) / 255
                shape = tf.shape(image)
                return tf.reduce_mean(image[: shape[0] // 2, : shape[1] // 2])

            bright = tf.map_fn(light, image_bytes, fn_output_signature=tf.float32)
            logits = tf.stack([4 * bright, 0 * bright, 1 - bright], axis=1)
            outputs = {"probabilities": tf.nn.softmax(logits)}
            return {**outputs, "familiarity": bright} if familiar else outputs

    module = Corner()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.predict})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> attention.Predict:
    folder = tmp_path_factory.mktemp("model")
    save_model(folder)
    return attention.load_model(str(folder))


def _white_corner() -> bytes:
    pixels = np.zeros((60, 90, 3), np.uint8)
    pixels[:30, :45] = 255
    encoded: bytes = tf.io.encode_png(pixels).numpy()
    return encoded


def test_the_map_shows_the_region_that_decides(model: attention.Predict) -> None:
    (found,) = attention.maps(model, [_white_corner()], [0])
    assert found is not None
    assert found.shape == (attention.GRID, attention.GRID)
    assert found.max() == 1
    half = attention.GRID // 2
    assert found[:half, :half].min() > 0.2
    assert found[half + 1 :].max() == found[:, half + 1 :].max() == 0


def test_an_image_without_such_a_region_has_no_map(model: attention.Predict) -> None:
    flat = tf.io.encode_png(np.full((20, 20, 3), 7, np.uint8)).numpy()
    assert attention.maps(model, [flat, b"no image"], [0, 0]) == [None, None]


def test_the_picture_keeps_its_shape_and_is_large_enough_to_see(
    model: attention.Predict, picture: Encode
) -> None:
    (regions,) = attention.maps(model, [_white_corner()], [0])
    assert regions is not None
    for encoded in (_white_corner(), picture(30, 20)):
        found = pictures.looked_at(encoded, regions, 160)
        assert (found.width, found.height) == (160, 107)
    assert pictures.looked_at(b"no image", regions, 160) == pictures.NOTHING


def test_familiarity_is_told_where_the_model_tells_it(
    model: attention.Predict, tmp_path: Path
) -> None:
    assert attention.familiarity(model, [_white_corner()]) == [1.0]
    save_model(tmp_path, familiar=False)
    assert attention.familiarity(attention.load_model(str(tmp_path)), [_white_corner()]) == [None]
