"""Compares our pipeline with a plain TFX one and a bare loop: `python -m benchmarks.compare`.

All three take the same images on this machine, one after the other. Each runs in a process of its
own with empty folders, so nothing is cached. TensorFlow uses oneDNN's kernels in all of them: this
compares designs, not kernels.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from benchmarks import launch, sample, tables
from benchmarks.goals import Side, judge
from pipeline import config as configs
from pipeline.data import spans
from trainer.options.backbone import Backbone

_ROOT = Path(__file__).parents[1]
_GOAL_IMAGES, _GOAL_SIZE = 6000, 224
_NOTES = (
    "TF_ENABLE_ONEDNN_OPTS=1 for all three: this compares designs, not kernels.",
    "plain: MobileNet with random weights, which take as long as those that it would download.",
    "ours: EfficientNet-Lite0, all epochs of the default config; plain: one epoch.",
    "bare loop: our backbone as Transform runs it, writes nothing; 'the rest' is its start-up.",
    "Seconds of CPU far below seconds x cores, where a side embeds, tell of a busy machine.",
    "Peak memory: of the largest process of each side (ru_maxrss of wait4). Bytes: its artifacts.",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the comparison with the given command line, or the process's own if it is None.

    Returns:
        0 done, even if a goal is missed; 1 a side failed; 2 bad input; 130 interrupted.
    """
    options = _parser().parse_args(arguments)
    console = Console()
    try:
        source = configs.resolve(
            configs.validate({"name": "ours", "data": {"root": options.data}}, "--data")
        )
        options.output.mkdir(parents=True, exist_ok=True)
        with _work(options.output.resolve(), options.keep, console) as work:
            sides = _measure(source, options.images, options.size, work, console)
    except (configs.ConfigError, launch.LaunchError) as error:
        print(f"benchmarks.compare: {error}", file=sys.stderr)
        return 2 if isinstance(error, configs.ConfigError) else 1
    except KeyboardInterrupt:
        print("\ninterrupted; nothing was written", file=sys.stderr)
        return 130
    goals = judge(*sides)
    console.print(tables.components_table(sides), "")
    console.print(tables.totals_table(sides), "")
    console.print(tables.goals_table(goals), "")
    notes = list(_NOTES)
    if (sides[0].images, options.size) != (_GOAL_IMAGES, _GOAL_SIZE):
        notes.append(
            f"The goals are set for {_GOAL_IMAGES} images at {_GOAL_SIZE}; this was a trial."
        )
    for note in notes:
        console.print(note, highlight=False, soft_wrap=True)
    path = options.output / f"compare-{datetime.datetime.now():%Y%m%d-%H%M%S}.json"
    results = tables.as_dict(sides, goals, options.size, notes)
    path.write_text(json.dumps(results, indent=2) + "\n")
    console.print(f"Written to {path}", highlight=False, soft_wrap=True)
    return 0


def _measure(
    source: configs.Config, images: int | None, size: int, work: Path, console: Console
) -> tuple[Side, Side, Side]:
    """Measures the sides on `images` images (None: all); returns plain TFX, ours, bare loop."""
    span = spans.find(source)
    if not span.splits:
        raise configs.ConfigError(f"{span.path}: found no splits; allowed: train, val and test")
    labels = configs.read_labels(source)
    copied = work / "data" / "span-0"
    count = sum(sample.copy(Path(span.path), copied, images).values())
    config = ours_config(work, labels, size)
    (work / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (work / "tmp").mkdir()
    console.print(f"{count} images at {size} x {size}, {os.cpu_count()} cores", highlight=False)

    # Whoever ran first would pay for reading TFX from a cold disk.
    _phase(console, work, "warm-up", ("-c", "import benchmarks.plain_tfx.pipeline"))
    sides = commands(source.backbone, work, len(labels), size)
    artifacts = (work / "plain" / "artifacts", work / "ours" / "artifacts", None)
    plain, ours, loop = (
        _side(name, count, _phase(console, work, name, ("-m", *command)), folder)
        for (name, command), folder in zip(sides.items(), artifacts, strict=True)
    )
    return plain, ours, loop


def commands(backbone: Backbone, work: Path, classes: int, size: int) -> dict[str, tuple[str, ...]]:
    """Returns the arguments of `python -m` by the name of the side that they run.

    The folder `work` holds `config.yaml` and `data`, and receives the output. The backbone is that
    of the bare loop; ours uses the default.
    """
    inputs = ("--span", str(work / "data" / "span-0"), "--size", str(size))
    output = ("--classes", str(classes), "--output", str(work / "plain"))
    loop = ("--backbone", backbone.name, "--weights", backbone.weights)
    return {
        "plain TFX": ("benchmarks.plain_tfx.pipeline", *inputs, *output),
        "ours": ("retrain", "run", "--config", str(work / "config.yaml"), "--json"),
        "bare loop": ("benchmarks.bare_loop", *inputs, *loop),
    }


def ours_config(work: Path, labels: Sequence[str], size: int) -> dict[str, Any]:
    """Returns our pipeline's config: defaults, except that models of any accuracy are blessed."""
    return {
        "name": "ours",
        "data": {"root": str(work / "data"), "labels": list(labels)},
        "image": {"size": size},
        "evaluation": {"thresholds": {"accuracy": {"min": 0.0}}},
        "output": str(work / "ours"),
    }


def _phase(console: Console, work: Path, name: str, arguments: Sequence[str]) -> launch.Measured:
    now = f"{datetime.datetime.now():%H:%M:%S}"
    environment = {
        "TF_ENABLE_ONEDNN_OPTS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TMPDIR": str(work / "tmp"),
    }
    log = work / "logs" / f"{name.replace(' ', '-')}.log"
    if not console.is_terminal:
        console.print(f"  {name:<10} runs since {now}", highlight=False)
    with console.status(f"{name} runs since {now}"):
        measured = launch.python(arguments, environment, _ROOT, log)
    console.print(f"  {name:<10} done in {measured.seconds:.1f} s", highlight=False)
    return measured


def _side(name: str, images: int, measured: launch.Measured, artifacts: Path | None) -> Side:
    files = artifacts.rglob("*") if artifacts else ()
    return Side(
        name=name,
        images=images,
        seconds=measured.seconds,
        cpu_seconds=measured.cpu_seconds,
        peak_bytes=measured.peak_bytes,
        written_bytes=sum(path.stat().st_size for path in files if path.is_file()),
        components={one["id"]: one["seconds"] for one in measured.answer["components"]},
    )


@contextlib.contextmanager
def _work(output: Path, keep: bool, console: Console) -> Iterator[Path]:
    """Yields a new work folder, and removes it in the end unless `keep` is true."""
    work = Path(tempfile.mkdtemp(prefix="work-", dir=output))
    try:
        yield work
    finally:
        if keep:
            console.print(f"Kept {work}", highlight=False, soft_wrap=True)
        else:
            shutil.rmtree(work)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    option = parser.add_argument
    option("--data", default="data/cifar10", help="data root that `retrain ingest` wrote")
    option("--images", type=_positive, help="take only so many, spread evenly (default: all)")
    option("--size", type=_positive, default=224, help="side in pixels (default: 224)")
    folder = Path("benchmarks/results")
    text = f"for results and, while it runs, gigabytes of work (default: {folder})"
    option("--output", type=Path, default=folder, help=text)
    option("--keep", action="store_true", help="keep the work folder")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number


if __name__ == "__main__":
    # SIGTERM must not leave the measured process behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
