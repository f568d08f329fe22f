"""A hundred images with all defaults: scores are no certainties, and wrong labels have names."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import yaml
from PIL import Image
from sklearn import datasets

from tests.e2e.conftest import Finished, Once, retrain

pytestmark = pytest.mark.slow

# Of each class, in the order of the table. Val and test are all right.
SPLITS = {"train": 48, "val": 6, "test": 6}
FLIPPED = ("zeros/03.png", "zeros/17.png", "ones/05.png", "ones/40.png")


@pytest.fixture(scope="module")
def folder(once: Once) -> Path:
    """Scans of zeros and ones as files, a table with four wrong labels, and a config."""

    def make(root: Path) -> None:
        rows = []
        for digit, name in enumerate(("zeros", "ones")):
            scans = _scans(digit, 0)
            splits = np.repeat(list(SPLITS), list(SPLITS.values()))
            for number, (scan, split) in enumerate(zip(scans, splits, strict=True)):
                path = f"{name}/{number:02d}.png"
                _save(scan, root / "scans" / path)
                wrong = {"zeros": "ones", "ones": "zeros"}[name]
                rows.append((path, wrong if path in FLIPPED else name, split))
        with (root / "scans" / "table.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("path", "label", "split"), *rows])
        config = {
            "name": "small",
            "data": {"root": str(root / "data")},
            "output": str(root / "out"),
        }
        (root / "retrain.yaml").write_text(yaml.safe_dump(config), "utf-8")
        done = retrain("ingest", str(root / "scans/table.csv"), "--output", str(root / "data"))
        assert done.code == 0, done.errors
        done = retrain("run", "--config", str(root / "retrain.yaml"), "--json")
        (root / "run.json").write_text(json.dumps([done.code, done.output, done.errors]))

    return once("small", make)


def _scans(digit: int, span: int) -> npt.NDArray[np.float64]:
    """Returns up to 60 scans; every third one, as those side by side are of one writer."""
    bunch = datasets.load_digits()
    scans: npt.NDArray[np.float64] = bunch.images[bunch.target == digit][span::3]
    return scans[: sum(SPLITS.values())]


def _save(scan: npt.NDArray[np.float64], file: Path, brightness: float = 1.0) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.rint(scan * 15.9 * brightness).astype(np.uint8)
    Image.fromarray(pixels).resize((48, 48)).save(file)


def _suspects(folder: Path, *arguments: str) -> Finished:
    done = retrain("suspects", "--config", str(folder / "retrain.yaml"), *arguments)
    assert done.code == 0, done.errors
    return done


def test_a_dozen_images_that_are_all_right_make_no_score_a_certainty(
    folder: Path, tmp_path: Path
) -> None:
    code, output, errors = json.loads((folder / "run.json").read_text())
    assert code == 0, output + errors
    (summary,) = (folder / "out/artifacts").glob("**/training.json")
    told = json.loads(summary.read_text())
    assert told["val"]["accuracy"] == 1
    assert told["temperature"] == 1
    odd = tmp_path / "odd.png"
    noise = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    Image.fromarray(noise).save(odd)
    images = [str(odd), *(str(folder / "scans" / "ones" / f"{n}.png") for n in (52, 53, 58, 59))]
    done = retrain("predict", "--config", str(folder / "retrain.yaml"), "--json", *images)
    assert done.code == 0, done.errors
    strange, *known = done.json["predictions"]
    assert strange["unfamiliar"]
    assert not all(one["unfamiliar"] for one in known)
    scores = [one["score"] for one in known]
    assert max(scores) < 1
    assert len({round(score, 6) for score in scores}) > 1


def test_wrong_labels_are_found_and_have_file_names(folder: Path) -> None:
    told = _suspects(folder, "--json").json
    assert told["searched"] == 2 * sum(SPLITS.values())
    first = {one["path"] for one in told["suspects"][: len(FLIPPED)]}
    assert len(first & set(FLIPPED)) >= 3
    for one in told["suspects"]:
        assert (folder / "scans" / one["path"]).exists()
        assert one["given"] != one["suggested"]
        if one["path"] in FLIPPED:
            assert one["suggested"] == one["path"].partition("/")[0]
    (page,) = (folder / "out/reports").glob("*.html")
    text = page.read_text("utf-8").replace("<wbr>", "")
    for name in first:
        assert name in text


def test_a_corrected_table_replaces_the_span(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "suspects.csv"
    _suspects(folder, "--output", str(file), "--images", str(folder / "scans"), "--all")
    with file.open(newline="") as content:
        rows = list(csv.DictReader(content))
    assert len(rows) == 2 * sum(SPLITS.values())
    for row in rows:
        assert row["label"] == row["given"]
        if row["suggested"]:
            row["label"] = row["suggested"]
    with file.open("w", newline="") as content:
        writer = csv.DictWriter(content, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    done = retrain(
        "ingest", str(file), "--output", str(tmp_path / "data"), "--span", "0", "--allow-outside"
    )
    assert done.code == 0, done.output + done.errors
    assert (tmp_path / "data" / "labels.txt").read_text() == "ones\nzeros\n"
    assert {path.name for path in (tmp_path / "data/span-0").iterdir()} >= set(SPLITS)


def test_the_suspects_alone_are_a_table_too(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "suspects.csv"
    _suspects(folder, "--output", str(file), "--images", str(folder / "scans"))
    done = retrain(
        "ingest", str(file), "--output", str(tmp_path / "data"), "--span", "0", "--allow-outside"
    )
    assert done.code == 0, done.output + done.errors


def test_a_folder_that_lacks_the_images_is_told(folder: Path, tmp_path: Path) -> None:
    arguments = ["--output", str(tmp_path / "x.csv"), "--images", str(tmp_path)]
    done = retrain("suspects", "--config", str(folder / "retrain.yaml"), *arguments)
    assert done.code == 2
    assert "lacks" in done.errors
    assert not (tmp_path / "x.csv").exists()


def test_drift_is_found_in_darker_scans_and_not_in_others_alike(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder / "data", tmp_path / "data")
    config = yaml.safe_load((folder / "retrain.yaml").read_text("utf-8"))
    config |= {"data": {"root": str(tmp_path / "data")}, "output": str(tmp_path / "out")}
    (tmp_path / "retrain.yaml").write_text(yaml.safe_dump(config), "utf-8")
    arguments = ["run", "--config", str(tmp_path / "retrain.yaml"), "--json"]
    # What the model is worth does not matter here: small images and one epoch are quicker.
    for setting in ("data.drift.action=stop", "image.size=32", "trainer.epochs=1"):
        arguments += ["--set", setting]
    assert retrain(*arguments).json["drift"]["previous"] is None
    found = []
    for span, brightness in ((1, 1.0), (2, 0.5)):
        for digit, name in enumerate(("zeros", "ones")):
            for number, scan in enumerate(_scans(digit, span)):
                split = np.repeat(list(SPLITS), list(SPLITS.values()))[number]
                _save(scan, tmp_path / f"{span}/{split}/{name}/{number:02d}.png", brightness)
        done = retrain("ingest", str(tmp_path / str(span)), "--output", str(tmp_path / "data"))
        assert done.code == 0, done.errors
        run = retrain(*arguments)
        assert run.json["drift"]["previous"] == span - 1
        found.append((run.states()["data-gate"], len(run.json["drift"]["changes"]) > 0))
    assert found == [("done", False), ("failed", True)]
