"""How often drift is found where there is none, and how often where there is some.

    python -m benchmarks.drift data/cifar10

draws two sets of images that do not overlap from a folder with one folder of images a class, or
from scikit-learn's digits without one, changes the second, and compares them as SpanDrift does.
"""

from __future__ import annotations

import argparse
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits

from components.image_example_gen import measures
from components.span_drift import comparison, look
from components.span_drift.options import Drift
from components.span_drift.sample import MOST, Sample
from trainer import images

Pixels = npt.NDArray[np.uint8]

_CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "brightness x 0.5": lambda pixels: (pixels * 0.5).astype(np.uint8),
    "brightness x 0.8": lambda pixels: (pixels * 0.8).astype(np.uint8),
    "red and blue swapped": lambda pixels: pixels[..., ::-1],
    "upside down": lambda pixels: pixels[:, ::-1],
}


def main() -> None:
    """Prints the share of draws in which drift was found, for each change and size."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift")
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[60, 200, 1000])
    parser.add_argument("--draws", type=int, default=100)
    arguments = parser.parse_args()
    pixels, labels = _files(arguments.folder) if arguments.folder else _digits()
    plain = _described(pixels)
    changed = {name: _described(change(pixels)) for name, change in _CHANGES.items()}
    classes = sorted(set(labels))
    for size in arguments.sizes:
        if 2 * size > len(pixels):
            continue
        found: dict[str, list[set[str]]] = {}
        random = np.random.default_rng(0)
        for _ in range(arguments.draws):
            order = random.permutation(len(pixels))
            first, second = order[:size], order[size : 2 * size]
            before = _sample(plain, labels, first)
            cases = {"nothing": _sample(plain, labels, second)}
            cases |= {name: _sample(one, labels, second) for name, one in changed.items()}
            kept = order[size:][labels[order[size:]] != classes[0]][:size]
            cases["a class removed"] = _sample(plain, labels, kept)
            # Other things under the same names: only the pictures can tell.
            here = order[np.isin(labels[order], classes[: len(classes) // 2])][:size]
            there = order[np.isin(labels[order], classes[len(classes) // 2 :])][:size]
            for name, after in cases.items():
                found.setdefault(name, []).append(_found(before, after))
            unnamed = np.array(["thing"] * len(labels))
            others = _found(_sample(plain, unnamed, here), _sample(plain, unnamed, there))
            found.setdefault("other things", []).append(others)
        for name, draws in found.items():
            any_found = sum(bool(one) for one in draws) / len(draws)
            looks = sum("looks" in one for one in draws) / len(draws)
            only = sum(one == {"looks"} for one in draws) / len(draws)
            print(
                f"{size} images a side, {name}: {any_found:.0%} of {len(draws)} draws drift;"
                f" looks in {looks:.0%}, nothing else in {only:.0%}",
                flush=True,
            )


def _found(before: Sample, after: Sample) -> set[str]:
    changes, _ = comparison.changes(before, after, Drift())
    return {change.feature for change in changes}


def _sample(
    described: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
    labels: npt.NDArray[np.str_],
    chosen: npt.NDArray[np.int64],
) -> Sample:
    kept = chosen[:MOST]
    return Sample(described[0][kept], described[1][kept], Counter(labels[chosen].tolist()))


def _described(pixels: Pixels) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    rows = []
    for one in pixels:
        file = io.BytesIO()
        Image.fromarray(one).save(file, "PNG")
        rows.append(measures.measure(one[None], measures.luma(one[None]), [file.tell()])[0])
    resized = tf.map_fn(
        lambda one: images.crop_and_resize(one, look.SIDE, 1.0),
        tf.constant(pixels),
        fn_output_signature=tf.float32,
    )
    return np.array(rows, np.float32), look.describe(resized.numpy())


def _files(folder: Path) -> tuple[Pixels, npt.NDArray[np.str_]]:
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".png"))
    pixels = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    return np.stack(pixels), np.array([file.parent.name for file in files])


def _digits() -> tuple[Pixels, npt.NDArray[np.str_]]:
    found = load_digits()
    grey = np.rint(found.images * 255 / 16).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1), found.target.astype(str)


if __name__ == "__main__":
    main()
