"""Embeds the images of a folder of class folders, once, for measurements on embeddings."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.progress import track

_BATCH = 200


@dataclass(frozen=True)
class Split:
    """Embeddings, float32 [images, dimension], and class ids, int64 [images]."""

    embeddings: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Returns a benchmark's parser, with the images and the file of their embeddings as options."""
    # TensorFlow reads it when it loads.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument(
        "images", type=Path, help="a folder with train and test, which hold class folders"
    )
    parser.add_argument(
        "--embeddings",
        type=Path,
        metavar="FILE.npz",
        help="keep the embeddings here; if the file is there, read them instead",
    )
    return parser


def read(options: argparse.Namespace) -> dict[str, Split]:
    """Returns `train` and `test`, embedded by EfficientNet-Lite0 at 224 pixels."""
    file: Path | None = options.embeddings
    if file is not None and file.exists():
        content = np.load(file)
        return {
            name: Split(content[f"{name}_x"], content[f"{name}_y"]) for name in ("train", "test")
        }
    found = _embed(options.images)
    if file is not None:
        arrays: dict[str, Any] = {}
        for name, split in found.items():
            arrays |= {f"{name}_x": split.embeddings, f"{name}_y": split.labels}
        np.savez(file, **arrays)
    return found


def _embed(root: Path) -> dict[str, Split]:
    import tensorflow as tf

    from trainer import freezing, preprocessing

    labels = sorted(folder.name for folder in (root / "train").iterdir())
    recipe = preprocessing.recipe(
        size=224,
        crop=1.0,
        backbone="efficientnet_lite0",
        weights="bundled",
        labels=labels,
        slices=(),
    )
    model = preprocessing.backbone(recipe)
    embed = tf.function(
        preprocessing.embedder(
            freezing.freeze(model), model.output_shape[-1], recipe.size, recipe.crop
        ),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )
    found = {}
    for name in ("train", "test"):
        files = sorted(file for file in (root / name).glob("*/*") if file.is_file())
        rows = [
            embed([file.read_bytes() for file in files[start : start + _BATCH]]).numpy()
            for start in track(range(0, len(files), _BATCH), f"Embedding {name}", transient=True)
        ]
        ids = np.array([labels.index(file.parent.name) for file in files], np.int64)
        found[name] = Split(np.concatenate(rows), ids)
    return found
