"""Tables as programs write them: separators, encodings, headers, kinds."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from pipeline.config import ConfigError
from pipeline.data.ingest import tables
from pipeline.data.ingest.find import find
from tests.conftest import Picture

ROWS = ("path,label", "a.png,Käse", "b.png,Brot")


def _refusal(file: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        tables.table(file)
    (line,) = str(caught.value).splitlines()
    return line


def _paths(file: Path) -> dict[str, str]:
    return {image.name: image.label for image in tables.table(file).images}


@pytest.mark.parametrize(
    "lines",
    [
        ("path;label", "a.png;x", "b.png;y, z"),
        ("sep=;", "path;label", "a.png;x", "b.png;y, z"),
        ("", "path\tlabel", "a.png\tx", "b.png\ty, z"),
        (" Path , LABEL", "a.png,x", 'b.png,"y, z"'),
        ("file_name,class", "a.png,x", 'b.png,"y, z"'),
        ("label;note, or not;image", "x;;a.png", "y, z;;b.png"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_headers_and_separators(tmp_path: Path, lines: tuple[str, ...], end: str) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes(end.join(lines).encode())
    assert _paths(file) == {"a.png": "x", "b.png": "y, z"}


def test_a_semicolon_in_a_cell_separates_nothing(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("path,label;kind,label\na;b.png,x;y,z\n")
    assert _paths(file) == {"a;b.png": "z"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["list.csv", "LIST.CSV", "list.jsonl", "LIST.JSONL"])
def test_encodings_that_are_read(tmp_path: Path, encoding: str, name: str) -> None:
    file = tmp_path / name
    lines = ROWS
    if name.lower().endswith("jsonl"):
        lines = ('{"path": "a.png", "label": "Käse"}', '{"file_name": "b.png", "label": "Brot"}')
    file.write_bytes("\r\n".join(lines).encode(encoding))
    assert find([str(file)]).labels == ("Brot", "Käse")


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16-le", "utf-16-be"])
def test_encodings_that_are_told(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes("\n".join(ROWS).encode(encoding))
    assert "UTF-8" in _refusal(file)


def test_half_a_character_is_told(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes("\n".join(ROWS).encode("utf-16") + b"\xd8")
    assert str(file) in _refusal(file)


def test_a_file_name_that_is_no_text_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes(b"path,label\nk\xe4se.png,a\n")
    assert list(_paths(file)) == ["k\udce4se.png"]


def test_a_quoted_cell_may_have_anything_in_it(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text(
        'path,label,note\na.png,"red, large","two\nlines"\nb.png,"say ""hi""",\nc.png,x\n'
    )
    assert "line 5" in _refusal(file)


def test_the_column_itself_comes_before_its_synonyms(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("filename,class,path,label,width\nphoto 1.jpg,z,a.png,x,48\n")
    found = tables.table(file)
    (image,) = found.images
    assert (image.name, image.label) == ("a.png", "x")
    # What ingest writes itself does not come from the table.
    assert image.slices == (("image/class", "z"),)
    (line,) = found.told
    assert "filename, width" in line


def test_parquet_is_read(tmp_path: Path) -> None:
    columns = {"path": ["a.png", "b.png"], "label": [0, 1], "site": ["north", None]}
    file = tmp_path / "list.PARQUET"
    parquet.write_table(pyarrow.table(columns), file)
    found = find([str(file)])
    assert found.labels == ("0", "1")
    assert [image.slices for image in tables.table(file).images] == [(("image/site", "north"),), ()]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("path", {"x": 1}, "row 1: path"),
        ("path", None, "row 1: path"),
        ("x", "a", "no path"),
    ],
)
def test_parquet_without_paths_is_told(
    tmp_path: Path, column: str, value: object, message: str
) -> None:
    file = tmp_path / "list.parquet"
    parquet.write_table(pyarrow.table({column: [value], "label": [0]}), file)
    assert message in _refusal(file)


def _hugging_face(file: Path, column: str, images: Sequence[object], labels: Sequence[int]) -> Path:
    """Writes a table as `datasets` does, with two rows in a row group."""
    note = {"info": {"features": {"label": {"names": ["owl", "cat"], "_type": "ClassLabel"}}}}
    table = pyarrow.table({column: images, "label": labels, "site": ["north"] * len(labels)})
    table = table.replace_schema_metadata({"huggingface": json.dumps(note)})
    parquet.write_table(table, file, row_group_size=2)
    return file


def test_images_in_a_table_of_hugging_face_are_read(tmp_path: Path, picture: Picture) -> None:
    pictures = [picture(seed=seed) for seed in range(5)]
    rows = [{"bytes": one, "path": f"{n}.png" if n else None} for n, one in enumerate(pictures)]
    file = _hugging_face(tmp_path / "train-00000-of-00001.parquet", "img", rows, [0, 1, 1, 0, 1])
    found = tables.table(file)
    assert found.labels == ("cat", "owl")
    assert [image.label for image in found.images] == ["owl", "cat", "cat", "owl", "cat"]
    assert [image.read() for image in found.images] == pictures
    assert [image.name for image in found.images[1:]] == ["1.png", "2.png", "3.png", "4.png"]
    assert file.name in found.images[0].name
    assert found.images[0].slices == (("image/site", "north"),)
    assert pickle.loads(pickle.dumps(found.images[2])).read() == pictures[2]


def test_images_may_be_bytes_alone(tmp_path: Path, picture: Picture) -> None:
    file = _hugging_face(tmp_path / "a.parquet", "picture", [picture(), None], [0, 1])
    first, second = tables.table(file).images
    assert first.read() == picture()
    with pytest.raises(OSError, match="no bytes"):
        second.read()


def test_a_folder_of_parquet_files_is_one_source(tmp_path: Path, picture: Picture) -> None:
    for number, name in enumerate(("train-00000-of-00002", "train-00001-of-00002", "test-0-of-1")):
        images = [picture(seed=2 * number + n) for n in range(2)]
        _hugging_face(tmp_path / f"{name}.parquet", "image", images, [0, 1])
    (tmp_path / "README.md").write_text("a card")
    found = find([str(tmp_path)])
    assert found.labels == ("cat", "owl")
    sources = [image for one in found.parts(4096) for image in one()]
    assert [image.split for image in sources] == ["test"] * 2 + ["train"] * 4
    assert [image.read() for image in sources[:2]] == [picture(seed=4), picture(seed=5)]
    (tmp_path / "a.jpg").write_bytes(picture(kind="JPEG"))
    with pytest.raises(ConfigError, match="found no folder"):
        find([str(tmp_path)])


def test_parquet_files_tell_their_split_once(tmp_path: Path) -> None:
    for name in ("train", "test"):
        paths, splits = [f"{name}0.png", f"{name}1.png"], ["train", "test"]
        rows = {"path": paths, "label": ["a", "b"], "split": splits}
        parquet.write_table(pyarrow.table(rows), tmp_path / f"{name}-0-of-1.parquet")
    with pytest.raises(ConfigError, match="column split"):
        find([str(tmp_path)])


def test_a_number_that_is_no_class_of_the_table_is_told(tmp_path: Path, picture: Picture) -> None:
    file = _hugging_face(tmp_path / "a.parquet", "image", [picture()] * 2, [0, -1])
    assert "row 2: label: found -1; allowed: 0 to 1" in _refusal(file)


def test_two_columns_of_images_are_told(tmp_path: Path) -> None:
    columns = {"left": [b"x"], "right": [b"y"], "label": [0]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    assert "left, right" in _refusal(tmp_path / "a.parquet")


def test_parquet_runs_no_code(tmp_path: Path) -> None:
    file, marker = tmp_path / "list.parquet", tmp_path / "ran"
    # What pyarrow writes for a type of Python's: the pickle of an object, here a call of mkdir.
    notes = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": b"cos\nmkdir\n(V%btR." % f"{marker}\n".encode(),
    }
    path = pyarrow.field("path", pyarrow.string(), metadata=notes)
    schema = pyarrow.schema([path, pyarrow.field("label", pyarrow.string())])
    parquet.write_table(pyarrow.table({"path": ["a.png"], "label": ["x"]}, schema=schema), file)
    # A process of its own, as Beam, which other tests load, protects all of its process.
    reading = "import sys, pathlib; from pipeline.data.ingest import rows; " + (
        "print(list(rows.rows(pathlib.Path(sys.argv[1]))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", reading, str(file)], capture_output=True, text=True, check=False
    )
    assert not marker.exists()
    # A newer pyarrow reads the plain column.
    assert "a.png" in done.stdout or "ConfigError" in done.stderr


def test_what_is_no_parquet_is_told(tmp_path: Path) -> None:
    file = tmp_path / "list.parquet"
    file.write_text("path,label\na.png,x\n")
    assert "not Parquet" in _refusal(file)
