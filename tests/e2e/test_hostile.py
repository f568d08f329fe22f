"""A folder of all that goes wrong in real ones: each file is in the data or among the rejects."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from pipeline.data import peek
from tests.conftest import Picture
from tests.e2e.conftest import command, make_workspace, spawn
from tests.pipeline.data.ingest.test_transcode import bomb

pytestmark = pytest.mark.slow

GOOD = 60
TINY = 10_000
# Decoded, the 30,000 x 30,000 pixels of the bomb would take 2.7 GB.
MOST_BYTES = 1.5 * 2**30

# A process of its own, as a child's peak counts that of the one it was forked from, and pytest's is
# high by the time it comes here.
_MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, flush=True)
sys.exit(code)
"""


def _animated(picture: Picture) -> bytes:
    frames = [Image.open(io.BytesIO(picture(seed=seed))).convert("P") for seed in (501, 502)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def _fill(root: Path, picture: Picture) -> tuple[set[str], set[str]]:
    """Makes the folder; returns the names of what must come in and of what must be rejected."""
    exif = Image.Exif()
    exif[0x0112] = 6
    sixteen = io.BytesIO()
    Image.open(io.BytesIO(picture(seed=503))).convert("I;16").save(sixteen, "PNG")
    good = {
        f"{label}/{number}.png": picture(seed=2 * number + index)
        for number in range(GOOD)
        for index, label in enumerate("ab")
    } | {
        "a/cmyk.jpg": picture(mode="CMYK", kind="JPEG", seed=504),
        "a/sixteen.png": sixteen.getvalue(),
        "a/animated.gif": _animated(picture),
        "b/picture.webp": picture(kind="WEBP", seed=505),
        "b/picture.tiff": picture(kind="TIFF", seed=506),
        "b/palette.png": picture(mode="P", seed=507),
        "b/turned.jpg": picture(kind="JPEG", seed=508, exif=exif),
        "b/deep/er/still.png": picture(seed=509),
        "b/no suffix": picture(seed=510),
        os.fsdecode(b"a/\xff\xfe.png"): picture(seed=511),
    }
    bad = {
        "a/truncated.jpg": picture(200, 200, kind="JPEG", seed=1)[:900],
        "a/text.jpg": b"this is no JPEG",
        "a/empty.png": b"",
        "a/bomb.png": bomb(),
        "in no class.png": picture(seed=1),
    } | {f"b/tiny/{number}": b"%d" % number for number in range(TINY)}
    for name, content in {**good, **bad}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "a/loop.png").symlink_to("loop.png")
    (root / "a/self").symlink_to(".")
    (root / "up").symlink_to("..")
    os.mkfifo(root / "a/pipe.png")
    return set(good), {*bad, "a/loop.png", "a/self", "up", "a/pipe.png"}


def test_every_file_is_in_the_data_or_among_the_rejects(tmp_path: Path, picture: Picture) -> None:
    root = tmp_path / "in"
    good, bad = _fill(root, picture)
    # Who runs this as root can read it none the less; it must be in one of the two either way.
    (root / "a/unreadable.png").write_bytes(picture(seed=512))
    (root / "a/unreadable.png").chmod(0)

    arguments = command("ingest", str(root), "--output", str(tmp_path / "data"))
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        **spawn(),
    )
    *output, peak = done.stdout.splitlines()
    assert int(peak) * 1024 < MOST_BYTES
    span = tmp_path / "data" / "span-0"
    with (span / "_rejects.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as f:
        rejected = {row["path"]: row["reason"] for row in csv.DictReader(f)}
    (records,) = span.glob("*.tfrecord")
    names = [example["image/filename"][0] for example in peek.examples(records, 1000)]
    taken = {os.fsdecode(name) for name in names if isinstance(name, bytes)}
    assert len(taken) == len(names)
    assert not taken & set(rejected)
    assert taken | set(rejected) == good | bad | {"a/unreadable.png"}
    assert good <= taken
    assert bad <= set(rejected)
    assert all(rejected.values())
    assert done.returncode == 1
    assert output[-1].startswith(f"{span}: {len(taken)} images, {len(rejected)} rejected")

    run = make_workspace(tmp_path, tmp_path / "data").run("evaluation.thresholds={}")
    assert run.json["verdict"] in ("pushed", "refused"), run.errors
    assert run.states()["evaluator"] == "done"
    assert run.json["data"]["records"] == len(taken)
