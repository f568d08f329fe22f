"""Tables of path and label, with or without splits and columns to slice by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.config import ConfigError
from pipeline.data.ingest import part, tables
from pipeline.data.ingest.find import find
from retrain.__main__ import main
from tests.conftest import Picture


def _csv(folder: Path, *lines: str) -> Path:
    file = folder / "labels.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_csv_with_splits_and_slices(tmp_path: Path, picture: Picture) -> None:
    (tmp_path / "a.png").write_bytes(picture(seed=1))
    file = _csv(
        tmp_path,
        "path,label,split,source,site/name",
        "a.png, größe ,train,phone,north",
        "b.png,cat,test,,south",
        "c.png,cat,val,phone,",
    )
    found = tables.table(file)
    assert found.labels == ("cat", "größe")
    assert [image.split for image in found.images] == ["train", "test", "val"]
    assert found.images[0].slices == (("image/source", "phone"), ("site/name", "north"))
    example = part.to_example(found.images[0], part.prepared(found.images[0], None), found.labels)
    features = example.features.feature
    assert features["image/source"].bytes_list.value == [b"phone"]
    assert features["site/name"].bytes_list.value == [b"north"]
    assert features["image/encoded"].bytes_list.value == [picture(seed=1)]
    assert features["image/class/label"].int64_list.value == [1]


def test_jsonl_is_read_alike(tmp_path: Path) -> None:
    rows = [{"path": "a.png", "label": 3, "source": "x"}, {"path": "b.png", "label": "4"}]
    file = tmp_path / "labels.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n", encoding="utf-8")
    found = tables.table(file)
    assert found.labels == ("3", "4")
    assert [image.name for image in found.images] == ["a.png", "b.png"]
    assert {image.split for image in found.images} == {None}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("path,label",), "found no row"),
        (("path,kind", "a,b"), "line 1: found no label among path, kind"),
        (("", "image_id,class", "a,b"), "line 2: found no path among image_id, class"),
        (("file,image,class", "a,b,c"), "line 1: found columns file, image"),
        (("path,label", ",b"), "line 2: path"),
        (("path,label", "a, "), "line 2: label"),
        (("path,label,split", "a,b,test"), "split: found splits test"),
        (("path,label,split", "a,b,train", "a,b,"), "rows without a split"),
        (("path,label,split", "a,b,exam", "c,b,train"), "split: found split exam"),
        (("path,label,split", "a,b,valid", "c,b,train"), "valid becomes test"),
    ],
)
def test_a_table_that_lacks_something_is_refused(
    tmp_path: Path, lines: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        tables.table(_csv(tmp_path, *lines))


@pytest.mark.parametrize("content", ["[1]", "{", '"x"'])
def test_a_line_that_is_no_object_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="line 1"):
        tables.table(file)


def test_paths_that_lead_nowhere_are_rejected_by_themselves(tmp_path: Path) -> None:
    file = _csv(tmp_path, "path,label", "none.png,a", "x\0y.png,a", ".,a")
    json_file = tmp_path / "labels.jsonl"
    json_file.write_text(json.dumps({"path": "x\0y.png", "label": "a"}), encoding="utf-8")
    images = [*tables.table(file).images, *tables.table(json_file).images]
    assert len(images) == 4
    for image in images:
        with pytest.raises(part.RejectedError, match="cannot be read"):
            part.to_example(image, part.prepared(image, None), ("a",))


def test_the_command_takes_a_table(
    tmp_path: Path, picture: Picture, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    file = _csv(tmp_path, "path,label", "a.png,cat", "b.png,dog")
    output = tmp_path / "data"
    assert main(["ingest", str(file), "--output", str(output)]) == 1
    printed = capsys.readouterr()
    span = output / "span-0"
    assert printed.out == f"{span}: 1 images, 1 rejected (see {span}/_rejects.csv)\n"
    assert "b.png: cannot be read: No such file or directory" in printed.err
    assert (output / "labels.txt").read_text("utf-8") == "cat\ndog\n"
    assert main(["ingest", str(tmp_path / "none.csv"), "--output", str(output)]) == 2


@pytest.mark.parametrize("row", ["b.png,a,b", "b.png", "b.png,a,,"])
def test_a_row_of_another_width_than_the_header_is_refused(tmp_path: Path, row: str) -> None:
    with pytest.raises(ConfigError, match="line 3"):
        tables.table(_csv(tmp_path, "path,label", "a.png,a", row, "c.png,b"))


def test_blank_rows_are_passed_over(tmp_path: Path) -> None:
    file = _csv(tmp_path, "path,label", "a.png,a", ",,", "", "b.png,b")
    assert [image.name for image in tables.table(file).images] == ["a.png", "b.png"]


def _jsonl(folder: Path, *labels: str) -> Path:
    file = folder / "labels.jsonl"
    rows = (f'{{"path": "{n}.png", "label": {label}}}\n' for n, label in enumerate(labels))
    file.write_text("".join(rows))
    return file


@pytest.mark.parametrize("label", ['["a"]', '{"id": 3}', "true", "null", "NaN", "Infinity", "[]"])
def test_a_label_that_is_no_text_or_number_is_refused(tmp_path: Path, label: str) -> None:
    with pytest.raises(ConfigError, match="line 2"):
        tables.table(_jsonl(tmp_path, '"a"', label))


def test_a_number_is_the_class_of_its_text(tmp_path: Path) -> None:
    found = tables.table(_jsonl(tmp_path, "1", "1.0", '"1"', '"01"', "1.5"))
    assert [image.label for image in found.images] == ["1", "1", "1", "01", "1.5"]


@pytest.mark.parametrize(("name", "separator"), [("LIST.CSV", ","), ("list.tsv", "\t")])
def test_other_tables_are_read(tmp_path: Path, name: str, separator: str) -> None:
    file = tmp_path / name
    file.write_text(f"path{separator}label\na.png{separator}x\nb.png{separator}y\n")
    assert find([str(file)]).labels == ("x", "y")


def test_names_that_look_alike_are_one_class(tmp_path: Path) -> None:
    names = ("caf\u00e9", "cafe\u0301", "\u00a0caf\u00e9\u2003", "tea")
    rows = (f"{number}.png,{name}" for number, name in enumerate(names))
    found = tables.table(_csv(tmp_path, "path,label", *rows))
    assert found.labels == ("caf\u00e9", "tea")


def test_splits_have_their_usual_names(tmp_path: Path) -> None:
    file = _csv(tmp_path, "path,label,split", "a.png,x,Train", "b.png,y, valid ", "c.png,y,testing")
    found = tables.table(file)
    assert [image.split for image in found.images] == ["train", "val", "test"]
    (line,) = found.told
    assert "valid is val" in line
    file = _csv(tmp_path, "path,label,split", "a.png,x,train", "b.png,y,train")
    assert {image.split for image in tables.table(file).images} == {None}


def test_a_path_with_two_labels_is_refused_with_both_lines(tmp_path: Path) -> None:
    file = _csv(tmp_path, "path,label", "a.png,x", "b.png,x", "./a.png,y")
    with pytest.raises(ConfigError, match=r"line 4: .*line 2"):
        tables.table(file)
    file = _csv(tmp_path, "path,label", "a.png,x", "b.png,y", "./a.png,x ")
    assert len(tables.table(file).images) == 3


@pytest.mark.parametrize(
    "path", ["../out.png", "in/../../out.png", "..", "{absolute}", "link/out.png", "link.png"]
)
def test_paths_outside_the_tables_folder_need_leave(
    tmp_path: Path, picture: Picture, path: str
) -> None:
    folder = tmp_path / "set"
    (folder / "in").mkdir(parents=True)
    (tmp_path / "out.png").write_bytes(picture())
    (folder / "link").symlink_to(tmp_path)
    (folder / "link.png").symlink_to(tmp_path / "out.png")
    row = path.format(absolute=tmp_path / "out.png")
    file = _csv(folder, "path,label", "in/a.png,a", f"{row},b")
    with pytest.raises(ConfigError, match=r"line 3: .*--allow-outside"):
        tables.table(file)
    assert tables.table(file, allow_outside=True).images[1].name == row
    assert main(["ingest", str(file), "--output", str(tmp_path / "data")]) == 2
    assert main(["ingest", str(file), "--output", str(tmp_path / "data"), "--allow-outside"]) == (
        2 if path == ".." else 1
    )


def test_paths_and_links_within_the_tables_folder_need_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "set"
    (folder / "in").mkdir(parents=True)
    (folder / "link").symlink_to(folder / "in")
    (tmp_path / "alias").symlink_to(folder)
    rows = ("in/../a.png,a", f"{folder}/b.png,b", "link/c.png,b", "..d.png,a")
    assert len(tables.table(_csv(folder, "path,label", *rows)).images) == 4
    assert len(tables.table(tmp_path / "alias" / "labels.csv").images) == 4
    monkeypatch.chdir(folder)
    assert len(tables.table(Path("labels.csv")).images) == 4


def test_blanks_around_a_path_do_not_count_unless_the_file_has_them(
    tmp_path: Path, picture: Picture
) -> None:
    for number, name in enumerate(("a.png", "b.png", " b.png")):
        (tmp_path / name).write_bytes(picture(seed=number))
    found = tables.table(_csv(tmp_path, "path,label", "a.png ,x", " b.png,y"))
    assert [image.read() for image in found.images] == [picture(seed=0), picture(seed=2)]
