"""Measures calibration at several sizes of val: `python -m benchmarks.calibration FOLDER`.

A head learns on embeddings, val gives its temperature, and the calibration error is measured on
test: without a temperature, with ours, and with the likeliest one, which has no prior.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.special
from rich.console import Console
from rich.table import Table

from benchmarks import embedded
from benchmarks.embedded import Split

_VAL_SHARE = 0.1
# What the search for the likeliest temperature may find; it ends at a bound where val has no error.
_BOUNDS = (0.05, 20.0)


def main() -> None:
    """Measures and prints the table."""
    parser = embedded.parser("calibration", __doc__)
    parser.add_argument(
        "--each", type=int, nargs="+", default=[12, 50, 500], help="train and val images of a class"
    )
    parser.add_argument("--seeds", type=int, default=3, help="draws of each size (default: 3)")
    options = parser.parse_args()
    splits = embedded.read(options)
    table = Table(box=None, pad_edge=False)
    for name in ("images a class", "val images", "accuracy", "wrong in val", "temperature"):
        table.add_column(name, justify="right")
    for name in ("likeliest", "ECE before", "ECE after", "ECE of the likeliest"):
        table.add_column(name, justify="right")
    for each in options.each:
        for seed in range(options.seeds):
            table.add_row(str(each), *measure(splits, each, seed))
    Console().print(table)


def measure(splits: Mapping[str, Split], each: int, seed: int) -> tuple[str, ...]:
    """Learns from `each` images of each class, drawn by a seed; returns the cells of the table."""
    from trainer import calibration, learning
    from trainer.job import Files, Job
    from trainer.options.export import Export
    from trainer.options.training import Trainer
    from trainer.preprocessing import recipe

    random = np.random.default_rng(seed)
    train, test = splits["train"], splits["test"]
    classes = int(train.labels.max()) + 1
    val = max(1, round(each * _VAL_SHARE))
    order = [
        random.permutation(np.flatnonzero(train.labels == one))[:each] for one in range(classes)
    ]
    # The trainer section of configs/cifar10.yaml.
    options = Trainer(
        batch_size=512,
        learning_rate=1e-3,
        epochs=30,
        label_smoothing=0.1,
        patience=10,
        seed=seed,
    )
    described = recipe(
        size=224,
        crop=1.0,
        backbone="efficientnet_lite0",
        weights="bundled",
        labels=[str(one) for one in range(classes)],
        slices=(),
    )
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files = Files(
            train=[
                _written(train, [one[val:] for one in order], described.embedding, root / "train")
            ],
            val=[_written(train, [one[:val] for one in order], described.embedding, root / "val")],
            scratch=root,
            logs=str(root / "logs"),
            checkpoints=str(root / "checkpoints"),
        )
        job = Job(recipe=described, trainer=options, export=Export())
        trained = learning.learn(job, files)
    found = calibration.temperature(trained.logits, trained.labels)
    likeliest = _likeliest(trained.logits, trained.labels)
    logits = trained.model.predict(test.embeddings, verbose=0).astype(np.float64)
    errors = (
        calibration.expected_calibration_error(
            scipy.special.softmax(logits / one, axis=1), test.labels
        )
        for one in (1.0, found, likeliest)
    )
    wrong = int((trained.logits.argmax(axis=1) != trained.labels).sum())
    return (
        str(len(trained.labels)),
        f"{(logits.argmax(axis=1) == test.labels).mean():.3f}",
        str(wrong),
        f"{found:.2f}",
        f"{likeliest:.2f}",
        *(f"{error:.3f}" for error in errors),
    )


def _written(split: Split, rows: list[npt.NDArray[np.int64]], embedding: str, file: Path) -> str:
    """Writes rows as Transform does, with their number for an image; returns the file's name."""
    import tensorflow as tf

    from trainer.features import IMAGE, LABEL

    with tf.io.TFRecordWriter(str(file), "GZIP") as writer:
        for row in np.concatenate(rows):
            example = tf.train.Example()
            features = example.features.feature
            features[IMAGE].bytes_list.value.append(str(row).encode())
            features[LABEL].int64_list.value.append(int(split.labels[row]))
            features[embedding].float_list.value.extend(split.embeddings[row])
            writer.write(example.SerializeToString())
    return str(file)


def _likeliest(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        log_probabilities = scipy.special.log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(log_probabilities[rows, labels].sum())

    found = scipy.optimize.minimize_scalar(loss, bounds=np.log(_BOUNDS), method="bounded")
    return float(np.exp(found.x))


if __name__ == "__main__":
    main()
