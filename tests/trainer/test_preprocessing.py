"""What Transform writes: the label that both features give, and embeddings that know no batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import DIMENSION, LABELS, SIZE, Picture, Transformed
from trainer import fingerprint, images, preprocessing
from trainer.backbones import registry
from trainer.features import FILENAME, IMAGE, LABEL, TEXT
from trainer.preprocessing import CHUNK

Layer = Callable[[dict[str, Any]], dict[str, Any]]


def _recipe(**changes: Any) -> preprocessing.Recipe:
    settings: dict[str, Any] = {
        "size": 32,
        "crop": 1.0,
        "backbone": "efficientnet_lite0",
        "weights": "none",
        "labels": LABELS,
        "slices": (),
    }
    return preprocessing.recipe(**{**settings, **changes})


@pytest.fixture(scope="module")
def layer(transformed: Transformed) -> Layer:
    """The transform graph as it was written, for raw features."""
    output = tft.TFTransformOutput(transformed.graph)
    return output.transform_features_layer()


def _column(values: Sequence[Any], kind: tf.DType) -> tf.SparseTensor:
    """A sparse feature [batch, 1] that None leaves out."""
    rows = [row for row, value in enumerate(values) if value is not None]
    return tf.SparseTensor(
        np.array([[row, 0] for row in rows], np.int64).reshape(-1, 2),
        tf.constant([values[row] for row in rows], kind),
        [len(values), 1],
    )


def _transform_labels(
    layer: Layer, image: bytes, numbers: Sequence[int | None], texts: Sequence[str | None]
) -> tuple[list[int], list[str]]:
    transformed = layer(
        {
            IMAGE: tf.constant([[image]] * len(numbers)),
            LABEL: _column(numbers, tf.int64),
            TEXT: _column(texts, tf.string),
            "image/source": _column([None] * len(numbers), tf.string),
        }
    )
    names = [name.decode() for name in transformed[TEXT].numpy()]
    return list(transformed[LABEL].numpy()), names


def _feature(example: tf.train.Example, name: str) -> list[Any]:
    feature = example.features.feature[name]
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind else []


def test_the_fingerprint_changes_with_all_that_makes_an_embedding() -> None:
    recipes = [_recipe(), _recipe(size=64), _recipe(crop=0.5), _recipe(weights="bundled")]
    assert len({recipe.fingerprint for recipe in recipes}) == len(recipes)
    assert len({recipe.embedding for recipe in recipes}) == len(recipes)


def test_the_fingerprint_does_not_change_with_what_leaves_embeddings_alone() -> None:
    plain = _recipe()
    assert plain.fingerprint == _recipe().fingerprint
    assert plain.fingerprint == _recipe(labels=("a", "b")).fingerprint
    assert plain.fingerprint == _recipe(slices=("image/source",)).fingerprint


@pytest.mark.parametrize(
    "source", ["images.py", "freezing.py", "preprocessing.py", "backbones/efficientnet_lite.py"]
)
def test_the_fingerprint_changes_with_the_code_of_the_image_path(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _recipe().fingerprint
    package = Path(fingerprint.__file__).parent
    for file in package.rglob("*.py"):
        copy = tmp_path / file.relative_to(package)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(file.read_bytes())
    monkeypatch.setattr(fingerprint.resources, "files", lambda name: tmp_path)
    assert _recipe().fingerprint == before

    (tmp_path / "head.py").write_text("another_head = 1\n")
    assert _recipe().fingerprint == before

    with (tmp_path / source).open("a") as file:
        file.write("changed = 1\n")
    assert _recipe().fingerprint != before


def test_a_recipe_survives_the_json_that_carries_it_through_tfx() -> None:
    from tfx.utils import json_utils

    recipe = _recipe(slices=("image/source",))
    carried = json_utils.loads(json_utils.dumps(recipe.model_dump(mode="json")))
    assert preprocessing.Recipe.model_validate(carried) == recipe


@pytest.mark.parametrize("changes", [{"backbone": "nothing"}, {"weights": "nothing"}])
def test_an_unknown_backbone_or_weights_make_no_recipe(changes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="nothing"):
        _recipe(**changes)


def test_every_example_has_its_image_its_embedding_and_both_labels(
    transformed: Transformed,
) -> None:
    assert len(transformed.examples) == len(transformed.images)
    for example in transformed.examples:
        assert set(example.features.feature) >= {IMAGE, LABEL, TEXT, transformed.recipe.embedding}
        assert len(_feature(example, transformed.recipe.embedding)) == DIMENSION
        (number,), (text,) = _feature(example, LABEL), _feature(example, TEXT)
        assert text.decode() == LABELS[number]
    found = {_feature(example, IMAGE)[0]: example for example in transformed.examples}
    for number, image in enumerate(transformed.images.values()):
        assert _feature(found[image], LABEL) == [number % len(LABELS)]


def test_an_image_keeps_its_name(transformed: Transformed) -> None:
    found = {_feature(example, IMAGE)[0]: example for example in transformed.examples}
    names = [_feature(found[image], FILENAME) for image in transformed.images.values()]
    assert names == [[f"{name}.x".encode()] for name in transformed.images]


def test_a_slice_passes_through_where_a_record_has_it(transformed: Transformed) -> None:
    found = {_feature(example, IMAGE)[0]: example for example in transformed.examples}
    sources = [_feature(found[image], "image/source") for image in transformed.images.values()]
    expected = [f"camera-{number % 2}".encode() for number in range(len(sources))]
    assert sources == [[], *([source] for source in expected[1:])]


@pytest.mark.parametrize("name", [LABEL, TEXT])
def test_a_slice_by_a_label_feature_leaves_the_label_settled(
    name: str, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Building a backbone takes seconds, and labels have nothing to do with it.
    monkeypatch.setattr(preprocessing, "_embed", lambda recipe: tf.strings.length)
    inputs = {
        IMAGE: tf.constant([[picture()], [picture(seed=1)]]),
        LABEL: _column([1, None], tf.int64),
        TEXT: _column([None, LABELS[2]], tf.string),
    }
    recipe = _recipe(slices=(name,))
    outputs = preprocessing.preprocessing_fn(inputs, recipe.model_dump(mode="json"))
    assert not isinstance(outputs[name], tf.SparseTensor)
    assert list(outputs[LABEL].numpy()) == [1, 2]
    assert [text.decode() for text in outputs[TEXT].numpy()] == [LABELS[1], LABELS[2]]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.sampled_from(range(len(LABELS))).flatmap(
            lambda n: st.sampled_from([(n, None), (None, LABELS[n]), (n, LABELS[n])])
        ),
        min_size=1,
        max_size=4,
    )
)
def test_either_label_or_both_give_the_class(
    layer: Layer, pictures: dict[str, bytes], given_labels: list[tuple[int | None, str | None]]
) -> None:
    numbers, texts = zip(*given_labels, strict=True)
    expected = [LABELS.index(text) if number is None else number for number, text in given_labels]
    found, names = _transform_labels(layer, pictures["one pixel"], numbers, texts)
    assert found == expected
    assert names == [LABELS[number] for number in expected]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, None),
        (0, LABELS[1]),
        (3, None),
        (3, LABELS[0]),
        (-1, None),
        (2**40, None),
        (None, "dog"),
        (None, LABELS[0].upper()),
        (0, "dog"),
    ],
)
def test_a_label_that_is_missing_unknown_or_contradicted_is_an_error(
    layer: Layer, pictures: dict[str, bytes], number: int | None, text: str | None
) -> None:
    # Beside a sound record, in either order.
    for numbers, texts in (([1, number], [None, text]), ([number, 1], [text, None])):
        with pytest.raises(tf.errors.InvalidArgumentError, match="must name one class"):
            _transform_labels(layer, pictures["one pixel"], numbers, texts)


@pytest.mark.parametrize("number", [-1, -7])
def test_a_negative_label_is_an_error_even_where_the_text_names_a_class(
    layer: Layer, pictures: dict[str, bytes], number: int
) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="must name one class"):
        _transform_labels(layer, pictures["one pixel"], [number], [LABELS[0]])


def test_an_embedding_is_that_of_the_backbone_on_the_image(transformed: Transformed) -> None:
    recipe = transformed.recipe
    import keras

    keras.utils.set_random_seed(0)
    backbone = registry.get(recipe.backbone).build(recipe.size, recipe.weights)
    found = {_feature(example, IMAGE)[0]: example for example in transformed.examples}
    for image in transformed.images.values():
        square = images.crop_and_resize(images.decode(tf.constant(image)), SIZE, recipe.crop)
        expected = np.asarray(backbone(square[None], training=False))[0]
        embedding = np.array(_feature(found[image], recipe.embedding))
        assert np.abs(embedding - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.fixture(scope="module")
def embed(transformed: Transformed) -> Callable[[tf.Tensor], tf.Tensor]:
    return preprocessing._embed(transformed.recipe)


@pytest.mark.parametrize("count", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1])
def test_embeddings_are_equal_in_whatever_batch_they_arrive(
    embed: Callable[[tf.Tensor], tf.Tensor], pictures: dict[str, bytes], count: int
) -> None:
    encoded = [list(pictures.values())[row % len(pictures)] for row in range(count)]
    together = embed(tf.constant(encoded)).numpy()
    assert together.shape == (count, DIMENSION)
    alone = _alone(embed, tuple(pictures.values()))
    for row, image in zip(together, encoded, strict=True):
        np.testing.assert_allclose(row, alone[image], rtol=1e-4, atol=1e-6)
    # Had all images one embedding, the above would say nothing.
    rows = list(alone.values())
    assert min(np.abs(rows[0] - other).max() for other in rows[1:]) > 1e-3


def _alone(
    embed: Callable[[tf.Tensor], tf.Tensor], encoded: tuple[bytes, ...]
) -> dict[bytes, npt.NDArray[np.float32]]:
    return {image: embed(tf.constant([image])).numpy()[0] for image in encoded}


def test_an_empty_batch_has_no_embeddings(embed: Callable[[tf.Tensor], tf.Tensor]) -> None:
    assert embed(tf.constant([], tf.string)).shape == (0, DIMENSION)


@settings(max_examples=12, deadline=None)
@given(count=st.integers(1, 4 * CHUNK), seed=st.integers(0, 9))
def test_chunks_are_small_and_put_together_in_order(count: int, seed: int) -> None:
    sizes = []

    def mean_colour(batch: tf.Tensor) -> tf.Tensor:
        sizes.append(int(batch.shape[0]))
        return tf.reduce_mean(batch, axis=[1, 2])

    colours = np.random.default_rng(seed).integers(0, 256, (count, 3), dtype=np.uint8)
    encoded = [tf.io.encode_png(colour[None, None]).numpy() for colour in colours]
    found = preprocessing.embedder(mean_colour, 3, 4, 1.0)(tf.constant(encoded))
    np.testing.assert_allclose(found, colours, atol=1e-3)
    assert max(sizes) <= CHUNK
    assert sum(sizes) == count


def test_the_backbone_can_be_built_anew_in_the_middle_of_a_trace_with_a_lookup_table(
    transformed: Transformed, pictures: dict[str, bytes]
) -> None:
    # What TensorFlow Transform does with `preprocessing_fn`: a graph of its own, where a table is
    # made before the backbone is frozen.
    from tensorflow.python.framework.func_graph import FuncGraph

    encoded_images = tf.constant([pictures["PNG"], pictures["JPEG"]])
    before = preprocessing._embed(transformed.recipe)(encoded_images)
    preprocessing._embed.cache_clear()
    graph = FuncGraph("trace")
    with graph.as_default():
        initializer = tf.lookup.KeyValueTensorInitializer(
            tf.constant(LABELS), tf.range(len(LABELS), dtype=tf.int64)
        )
        tf.lookup.StaticHashTable(initializer, -1).lookup(tf.constant(["cat"]))
        encoded = tf.compat.v1.placeholder(tf.string, [None])
        embeddings = preprocessing._embed(transformed.recipe)(encoded)
        assert embeddings.graph is graph
        assert embeddings.shape.as_list() == [None, DIMENSION]

    # The function that was built there stands on its own.
    function = preprocessing._embed(transformed.recipe).get_concrete_function()
    assert not function.captured_inputs
    assert not function.variables
    # Random weights are the same in every build.
    np.testing.assert_array_equal(function(encoded_images), before)


def test_the_graph_that_travels_with_a_model_holds_constants(transformed: Transformed) -> None:
    saved = tf.saved_model.load(f"{transformed.graph}/transform_fn")
    assert not saved.signatures["serving_default"].variables
