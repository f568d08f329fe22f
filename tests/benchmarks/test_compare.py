"""The comparison's arithmetic, tables and sample: what it says is what was measured."""

import dataclasses
import gzip
import importlib.util
import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from benchmarks import compare, launch, sample, tables
from benchmarks.goals import Goal, Side, judge
from pipeline import config as configs
from tests.conftest import PATIENCE_SECONDS
from trainer.options.backbone import Backbone
from trainer.options.training import Trainer

_ROOT = Path(__file__).parents[2]
PLAIN = Side(
    name="plain TFX",
    images=6000,
    seconds=600.0,
    cpu_seconds=1000.0,
    peak_bytes=8_000_000_000,
    written_bytes=2_400_000_000,
    components={"transform": 400.0, "trainer": 150.0},
)
OURS = Side(
    name="ours",
    images=6000,
    seconds=150.0,
    cpu_seconds=280.0,
    peak_bytes=2_000_000_000,
    written_bytes=60_000_000,
    components={"transform": 100.0, "data-gate": 0.5, "trainer": 20.0},
)
LOOP = Side(
    name="bare loop",
    images=6000,
    seconds=90.0,
    cpu_seconds=170.0,
    peak_bytes=1_000_000_000,
    written_bytes=0,
    components={"loop": 80.0},
)


def printed(table: Table) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined]


def frames(*records: bytes) -> bytes:
    return b"".join(
        len(record).to_bytes(8, "little") + b"CRC1" + record + b"CRC2" for record in records
    )


def test_goals_hold_measurements_against_their_bounds():
    measured = {goal.name: (goal.measured, goal.bound) for goal in judge(PLAIN, OURS, LOOP)}
    assert measured == {
        "end to end, plain / ours": (4.0, 4),
        "bytes written, plain / ours": (40.0, 30),
        "peak memory of ours": (2.0, 3),
        "our Transform, against 1.1 x the loop + 15 s": (100.0, pytest.approx(103.0)),
    }


def test_all_goals_are_met_up_to_the_bound():
    assert {goal.verdict for goal in judge(PLAIN, OURS, LOOP)} == {"goal met"}


def test_each_goal_is_missed_by_how_much():
    slow = dataclasses.replace(
        OURS,
        seconds=200.0,
        peak_bytes=3_500_000_000,
        written_bytes=100_000_000,
        components={"transform": 113.0},
    )
    assert [goal.verdict for goal in judge(PLAIN, slow, LOOP)] == [
        "missed by 1.00 x",
        "missed by 6.00 x",
        "missed by 0.50 GB",
        "missed by 10.00 s",
    ]


def test_a_near_miss_is_not_called_met():
    assert Goal("", 3.9999, 4, True, "x").verdict != "goal met"


def test_what_is_outside_of_components_is_the_rest():
    assert OURS.rest == pytest.approx(29.5)
    assert OURS.images_per_second == 40.0


def test_components_stand_in_the_order_of_the_longest_graph():
    lines = printed(tables.components_table([PLAIN, OURS, LOOP])).splitlines()
    assert [line.split()[0] for line in lines[2:]] == [
        "transform",
        "data-gate",
        "trainer",
        "loop",
        "the",
    ]
    assert lines[2].split() == ["transform", "400.0", "100.0"]
    assert lines[6].split() == ["the", "rest", "50.0", "29.5", "10.0"]


def test_totals_and_goals_are_shown():
    totals = printed(tables.totals_table([PLAIN, OURS, LOOP]))
    assert ["MB", "written", "2400.0", "60.0", "0.0"] in [
        line.split() for line in totals.split("\n")
    ]
    goals = printed(tables.goals_table(judge(PLAIN, OURS, LOOP)))
    assert "4.00 x" in goals
    assert "at most 3.00 GB" in goals


def test_results_are_json():
    results = tables.as_dict([PLAIN, OURS, LOOP], judge(PLAIN, OURS, LOOP), 224, ["a note"])
    read = json.loads(json.dumps(results))
    assert read["sides"][1]["images_per_second"] == 40.0
    assert read["goals"][0]["verdict"] == "goal met"


def test_our_config_is_one_that_the_pipeline_takes(tmp_path):
    config = configs.validate(compare.ours_config(tmp_path, ["cat", "dog"], 96), "benchmark")
    assert config.image_size == 96
    assert config.trainer == Trainer()


def test_each_side_is_a_command_that_is_there(tmp_path):
    for module, *_ in compare.commands(Backbone(), tmp_path, 2, 96).values():
        found = importlib.util.find_spec(module)
        assert found is not None
        package = found.submodule_search_locations is not None
        assert not package or importlib.util.find_spec(f"{module}.__main__")


@pytest.mark.parametrize("wanted", [20, 200, 1234, 5999, 6000, 7000])
def test_shares_are_proportional_and_add_up(wanted):
    counts = {"train": 4500, "val": 500, "test": 1000}
    shares = sample.shares(counts, wanted)
    assert sum(shares.values()) == min(wanted, 6000)
    assert all(1 <= shares[name] <= counts[name] for name in counts)
    assert abs(shares["test"] - min(wanted, 6000) / 6) <= 1


def test_each_split_has_a_share():
    assert sample.shares({"train": 4500, "val": 500, "test": 1000}, 2) == {
        "train": 1,
        "val": 1,
        "test": 1,
    }


def test_taken_records_are_as_many_as_wanted_and_spread():
    taken = [index for index in range(1000) if sample.is_taken(index, 1000, 10)]
    assert len(taken) == 10
    assert {index // 100 for index in taken} == set(range(10))


def test_copy_takes_records_as_they_are(tmp_path):
    for split, count in {"train": 6, "val": 2, "test": 2}.items():
        folder = tmp_path / "span-0" / split
        folder.mkdir(parents=True)
        records = frames(*(f"{split} {index}".encode() for index in range(count)))
        (folder / "images-00000.tfrecord.gz").write_bytes(gzip.compress(records))
    counts = sample.copy(tmp_path / "span-0", tmp_path / "copy", wanted=5)
    assert counts == {"train": 3, "val": 1, "test": 1}
    copied = (tmp_path / "copy" / "train" / "images-00000.tfrecord").read_bytes()
    assert copied == frames(b"train 1", b"train 3", b"train 5")


def test_copy_cuts_val_from_train_where_there_is_none(tmp_path):
    for split, count in {"train": 20, "test": 5}.items():
        folder = tmp_path / "span-0" / split
        folder.mkdir(parents=True)
        records = frames(*(f"{split} {index}".encode() for index in range(count)))
        (folder / "images-00000.tfrecord").write_bytes(records)
    counts = sample.copy(tmp_path / "span-0", tmp_path / "copy", wanted=None)
    assert counts == {"test": 5, "train": 18, "val": 2}
    copied = (tmp_path / "copy" / "val" / "images-00000.tfrecord").read_bytes()
    assert copied == frames(b"train 0", b"train 10")


def test_a_process_is_measured(tmp_path):
    # From a small process: the peak of a child counts that of its parent, and pytest's is high.
    program = """
import dataclasses, json, sys
from pathlib import Path
from benchmarks import launch
code = "print('noise'); block = bytearray(200_000_000); print('{\\\"components\\\": []}')"
folder = Path(sys.argv[1])
measured = launch.python(["-c", code], {}, folder, folder / "logs" / "x.log")
print(json.dumps(dataclasses.asdict(measured)))
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True)
    measured = launch.Measured(**json.loads(done.stdout))
    assert measured.answer == {"components": []}
    assert 200e6 < measured.peak_bytes < 1e9
    assert measured.seconds > 0


def test_a_failed_process_tells_why(tmp_path):
    with pytest.raises(launch.LaunchError, match="no such thing"):
        launch.python(["-c", "raise SystemExit('no such thing')"], {}, tmp_path, tmp_path / "x.log")


def test_an_interrupt_ends_the_measured_process(tmp_path):
    code = (
        "from pathlib import Path; from benchmarks import launch;"
        f"folder = Path({str(tmp_path)!r});"
        'sleep = \'import os, pathlib, time; pathlib.Path("pid").write_text(str(os.getpid()));'
        f" time.sleep({PATIENCE_SECONDS})';"
        "launch.python(['-c', sleep], {}, folder, folder / 'x.log')"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=_ROOT, stderr=subprocess.DEVNULL)
    pid = tmp_path / "pid"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (pid.exists() and pid.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.wait(PATIENCE_SECONDS)
    assert not Path("/proc", pid.read_text()).exists()


def test_bad_input_is_told_in_a_line(tmp_path, capsys):
    missing = str(tmp_path / "missing")
    assert compare.main(["--data", missing, "--output", str(tmp_path / "results")]) == 2
    assert "missing" in capsys.readouterr().err
    assert list((tmp_path / "results").iterdir()) == []
