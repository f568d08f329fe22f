"""What many tests share: pictures, records, and one classifier that is built once a session.

The expensive parts (a backbone in a transform graph, an exported model) use an image side of 32
and random weights: what is tested is how the parts fit together, not what a backbone knows.
"""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

# TensorFlow reads it when it loads.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import coverage
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

if TYPE_CHECKING:
    import tensorflow as tf

# Every run tries the same examples, and none fails because the machine is busy.
# `--hypothesis-profile default` looks for new ones.
settings.register_profile(
    "suite", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")

# A shell that is not interactive starts what runs in its background with interrupts ignored, which
# processes that tests interrupt would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long a test waits for what must come: longer than it takes on a machine that is ten times
# slower. Only a test that fails waits as long.
PATIENCE_SECONDS = 600

LABELS = ("cat", "größe", "猫 two")
SIZE = 32
DIMENSION = 1984  # of an embedding by efficientnet_lite0

Picture = Callable[..., bytes]
Record = Callable[..., bytes]


def _picture(
    width: int = 40,
    height: int = 30,
    *,
    mode: str = "RGB",
    kind: str = "PNG",
    seed: int = 0,
    **options: Any,
) -> bytes:
    # Coarse noise made smooth: images differ from each other, and JPEG keeps them nearly as is.
    noise = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    scaled = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    scaled.convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def _record(
    image: bytes, label: int | None = None, text: str | None = None, **features: str
) -> bytes:
    """`features` are named with double underscores for slashes, as in `image__source`."""
    import tensorflow as tf  # here, as tests of the config and the like do without it

    content: dict[str, tf.train.Feature] = {
        "image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image]))
    }
    if label is not None:
        content["image/class/label"] = tf.train.Feature(
            int64_list=tf.train.Int64List(value=[label])
        )
    for name, value in {"image__class__text": text, **features}.items():
        if value is not None:
            content[name.replace("__", "/")] = tf.train.Feature(
                bytes_list=tf.train.BytesList(value=[value.encode()])
            )
    return tf.train.Example(features=tf.train.Features(feature=content)).SerializeToString()


@pytest.fixture(scope="session")
def picture() -> Picture:
    """Encodes a picture: width, height, mode, kind, seed and Pillow's options for saving."""
    return _picture


@pytest.fixture(scope="session")
def record() -> Record:
    """Serializes a tf.Example of the data contract: image, label, text and further features."""
    return _record


@pytest.fixture(scope="session")
def pictures() -> dict[str, bytes]:
    """Pictures of the kinds and sizes that come in, each another scene."""
    return {
        "JPEG": _picture(kind="JPEG", seed=1, quality=95),
        "grey JPEG": _picture(mode="L", kind="JPEG", seed=2),
        "PNG": _picture(seed=3),
        "grey PNG": _picture(mode="L", seed=4),
        "RGBA PNG": _picture(mode="RGBA", seed=5),
        "GIF": _picture(mode="P", kind="GIF", seed=6),
        "BMP": _picture(kind="BMP", seed=7),
        "wide": _picture(101, 17, seed=8),
        "tall": _picture(13, 97, kind="JPEG", seed=9),
        "one pixel": _picture(1, 1, seed=10),
        "one pixel high": _picture(50, 1, seed=11),
    }


@dataclass(frozen=True)
class Transformed:
    """What Transform made of a handful of records.

    Attributes:
        recipe: the recipe it was given.
        graph: the folder of the transform graph.
        images: the encoded images by name, in no order that the files keep.
        files: the pattern of the gzipped TFRecord files of transformed examples.
        examples: those examples.
    """

    recipe: Any
    graph: str
    images: Mapping[str, bytes]
    files: str
    examples: tuple[tf.train.Example, ...]


@pytest.fixture(scope="session", autouse=True)
def _beam_in_process() -> None:
    from components import in_process

    in_process.prefer()


def _transform(records: Sequence[bytes], recipe: Any, folder: Path) -> tuple[Any, ...]:
    import apache_beam as beam
    import tensorflow as tf
    import tensorflow_transform.beam as tft_beam
    from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder
    from tfx_bsl.public import tfxio

    from pipeline.graph import schema
    from trainer import preprocessing

    curated = schema.curated(recipe.labels, recipe.slices)
    source = tfxio.TFExampleBeamRecord("memory", telemetry_descriptors=["test"], schema=curated)
    folder.mkdir(parents=True, exist_ok=True)
    with beam.Pipeline() as pipeline, tft_beam.Context(temp_dir=str(folder / "temporary")):
        data = pipeline | beam.Create(list(records)) | source.BeamSource()
        (transformed, _), function = (
            data,
            source.TensorAdapterConfig(),
        ) | tft_beam.AnalyzeAndTransformDataset(
            lambda inputs: preprocessing.preprocessing_fn(inputs, recipe.model_dump(mode="json")),
            output_record_batches=True,
        )
        function | tft_beam.WriteTransformFn(str(folder / "graph"))
        (
            transformed
            # The encoder that TFX's Transform uses.
            | beam.FlatMapTuple(lambda batch, _: RecordBatchToExamplesEncoder().encode(batch))
            | beam.io.WriteToTFRecord(str(folder / "examples"), file_name_suffix=".gz")
        )
    files = sorted(tf.io.gfile.glob(f"{folder}/examples*.gz"))
    dataset = tf.data.TFRecordDataset(files, compression_type="GZIP")
    return tuple(tf.train.Example.FromString(one.numpy()) for one in dataset)


@pytest.fixture(scope="session")
def transformed(
    pictures: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> Transformed:
    """The pictures, transformed once: a label number, a label text, or both, in turn."""
    from trainer import preprocessing

    recipe = preprocessing.recipe(
        size=SIZE,
        crop=0.9,
        backbone="efficientnet_lite0",
        weights="none",
        labels=LABELS,
        slices=("image/source",),
    )
    folder = tmp_path_factory.mktemp("transformed")
    records = []
    for number, (name, image) in enumerate(pictures.items()):
        label = number % len(LABELS)
        given = {"label": label, "text": LABELS[label]}
        if number % 3 != 2:
            del given["text" if number % 3 else "label"]
        source = {"image__source": f"camera-{number % 2}"} if number else {}
        records.append(_record(image, **given, **source, image__filename=f"{name}.x"))
    examples = _transform(records, recipe, folder)
    return Transformed(recipe, f"{folder}/graph", pictures, f"{folder}/examples*.gz", examples)


@dataclass(frozen=True)
class Exported:
    """A classifier and what it was made from.

    Attributes:
        directory: the SavedModel's folder.
        probabilities: what the training path says of each picture: the embedding that Transform
            wrote, through the head and softmax.
        examples: the transformed example of each picture.
        transformed: see `Transformed`.
    """

    directory: Path
    probabilities: Mapping[str, npt.NDArray[np.float32]]
    examples: Mapping[str, tf.train.Example]
    transformed: Transformed


@pytest.fixture(scope="session")
def exported(transformed: Transformed, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A classifier with a random head, saved once."""
    import keras
    import tensorflow_transform as tft

    from trainer import export, familiarity, head, scoring
    from trainer.options.training import Trainer

    recipe = transformed.recipe
    by_image = {
        example.features.feature["image/encoded"].bytes_list.value[0]: example
        for example in transformed.examples
    }
    examples = {name: by_image[image] for name, image in transformed.images.items()}
    embeddings = np.array(
        [e.features.feature[recipe.embedding].float_list.value for e in examples.values()],
        np.float32,
    )
    keras.utils.set_random_seed(4)
    options = Trainer(hidden_units=None, dropout=0.5, normalize=True)
    model = head.build(embeddings, len(recipe.labels), options)
    # Random weights give embeddings that hardly differ; the scale makes the answers differ.
    kernel, _ = model.get_layer("logits").get_weights()
    logits = np.asarray(model(embeddings, training=False))
    scale = 1.5 / logits.std(axis=0)
    model.get_layer("logits").set_weights([scale * kernel, -scale * logits.mean(axis=0)])
    probabilities = np.asarray(keras.ops.softmax(model(embeddings, training=False)))
    directory = tmp_path_factory.mktemp("exported") / "model"
    export.save(
        scorer=scoring.EmbeddingScorer(
            model, tft.TFTransformOutput(transformed.graph), recipe.embedding
        ),
        familiar=familiarity.fit(
            embeddings, np.arange(len(embeddings)) % len(recipe.labels), embeddings
        ),
        temperature=1.0,
        labels=recipe.labels,
        warmup_images=list(transformed.images.values())[:5],
        directory=str(directory),
    )
    return Exported(
        directory, dict(zip(examples, probabilities, strict=True)), examples, transformed
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item):
    """Measures coverage, where it is asked for, in the quick tests only; see pyproject.toml."""
    measured = coverage.Coverage.current()
    if measured is None or item.get_closest_marker("slow") is None:
        return (yield)
    measured.stop()
    try:
        return (yield)
    finally:
        measured.start()
