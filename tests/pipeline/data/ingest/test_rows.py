"""Tables as programs write them: separators, encodings, headers, kinds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from pipeline.config import ConfigError
from pipeline.data.ingest import tables
from pipeline.data.ingest.find import find

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
        ("path", {"bytes": b"x"}, "row 1: path"),
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
