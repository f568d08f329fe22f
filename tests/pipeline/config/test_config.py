"""Configs that load, and the message for every kind of mistake in one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from pipeline import config
from pipeline.config import Config, ConfigError
from trainer.backbones import catalog

SMALLEST = {"name": "cats", "data": {"root": "data/cats"}}


def _load(folder: Path, text: str, *overrides: str) -> Config:
    path = folder / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return config.load(path, overrides)


def _message(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        _load(folder, text, *overrides)
    return str(caught.value).replace(f"{folder}/", "")


def _smallest(**sections: object) -> str:
    return yaml.safe_dump(SMALLEST | sections)


def test_the_example_of_the_design_loads(tmp_path):
    loaded = _load(
        tmp_path,
        """
        name: cifar10
        data:       {root: data/cifar10, labels: data/cifar10/labels.txt, span: latest,
                     splits: {train: 0.7, val: 0.15, test: 0.15}}
        image:      {size: 224}
        backbone:   {name: efficientnet_lite0, weights: bundled}
        trainer:    {mode: head, epochs: 30, batch_size: 256, optimizer: adam,
                     learning_rate: 1.0e-3}
        evaluation: {slices: [image/class/text],
                     thresholds: {accuracy: {min: 0.75}, regression: {accuracy: {max_drop: 0.01}}}}
        push:       {keep: 5}
        beam:       {args: []}
        output: runs/{name}
        """,
    )
    assert loaded.evaluation.slices == ("image/class/text",)
    assert {name: bound.min for name, bound in loaded.evaluation.thresholds.limits().items()} == {
        "accuracy": 0.75
    }
    assert loaded.trainer.learning_rate == 1e-3
    assert loaded.output == str(Path.cwd() / "runs/cifar10")


def test_defaults_hold_what_is_left_out(tmp_path):
    loaded = _load(tmp_path, _smallest())
    assert loaded == config.resolve(Config.model_validate(SMALLEST))
    assert loaded.image_size == catalog.get(loaded.backbone.name).input_size
    assert _load(tmp_path, _smallest(image={"size": 96})).image_size == 96


def test_local_paths_become_absolute_and_uris_stay(tmp_path):
    text = _smallest(
        data={"root": "gs://bucket/cats/", "labels": "~/labels.txt"},
        backbone={"weights": "./lite0.pth"},
        output="/elsewhere/{name}-runs",
    )
    loaded = _load(tmp_path, text)
    assert loaded.data.root == "gs://bucket/cats"
    assert loaded.data.labels == str(Path.home() / "labels.txt")
    assert loaded.backbone.weights == str(Path.cwd() / "lite0.pth")
    assert loaded.output == "/elsewhere/cats-runs"


def test_a_model_is_called_as_its_store(tmp_path):
    assert _load(tmp_path, _smallest(output="/runs")).model_name == "cats"
    loaded = _load(tmp_path, _smallest(push={"model_store": "models/{name}-tabby/"}))
    assert loaded.model_store == str(Path.cwd() / "models" / "cats-tabby")
    assert loaded.model_name == "cats-tabby"
    message = _message(tmp_path, _smallest(push={"model_store": "models/{nmae}"}))
    assert 'found "models/{nmae}"; allowed: no braces other than {name}' in message


def test_the_current_directory_must_not_look_like_a_pattern(tmp_path, monkeypatch):
    (tmp_path / "[new]").mkdir()
    monkeypatch.chdir(tmp_path / "[new]")
    message = _message(tmp_path, _smallest())
    assert message.startswith('c.yaml: data.root: found "[new]/data/cats"; allowed: the folder')


def test_a_config_survives_json(tmp_path):
    text = _smallest(
        data={"root": "d", "labels": ["a", "b"], "span": 3},
        evaluation={
            "slices": ["image/source"],
            "thresholds": {
                "accuracy": None,
                "macro_f1": {"min": 0.5, "max": 1},
                "regression": {"expected_calibration_error": {"max_drop": 0}},
                "each_slice": {"min_examples": 5, "accuracy": {"min": 0.25}},
            },
        },
        beam={"args": ["--direct_num_workers=2"]},
    )
    loaded = _load(tmp_path, text)
    assert Config.model_validate(json.loads(json.dumps(loaded.model_dump(mode="json")))) == loaded


def test_a_config_cannot_be_changed():
    loaded = Config.model_validate(SMALLEST)
    with pytest.raises(ValidationError):
        loaded.trainer.epochs = 3


@pytest.mark.parametrize("number", ["1e-3", "1E-3", "1.0e-3", "0.001", ".1e-2"])
def test_numbers_may_be_written_in_any_usual_form(tmp_path, number):
    text = _smallest() + f"trainer: {{learning_rate: {number}}}\n"
    assert _load(tmp_path, text).trainer.learning_rate == 0.001


WRONG = [
    ({"name": "Cats"}, 'name: found "Cats"; allowed: up to 128 lower-case letters, digits'),
    ({"name": 12}, "name: found 12; allowed: up to 128"),
    ({"data": {}}, "data.root: missing; needed: a local path or gs://…"),
    ({"data": None}, "data: found null; allowed: a mapping with root, labels, span, window"),
    ({"data": {"root": "ftp://x"}}, 'data.root: found "ftp://x"; allowed: a local path or gs://'),
    (
        {"data": {"root": "s3://b/d"}},
        'data.root: found "s3://b/d"; allowed: a local path or gs://…, as TensorFlow comes without',
    ),
    ({"data": {"root": " "}}, "data.root: found an empty text; allowed: a local path"),
    (
        {"data": {"root": "d/span-{SPAN}"}},
        'data.root: found "d/span-{SPAN}"; allowed: the folder that holds the spans, without { }',
    ),
    ({"data": {"root": "d", "labels": []}}, "data.labels: found no name; allowed: two or more"),
    (
        {"data": {"root": "d", "labels": ["cat"]}},
        'data.labels: found 1 name, "cat"; allowed: two or more names',
    ),
    (
        {"data": {"root": "d", "labels": ["a", "b", "a"]}},
        'data.labels: found "a" for class 0 and again for class 2; allowed: each name once',
    ),
    ({"data": {"root": "d", "labels": ["a", " "]}}, "data.labels: found a blank name for class 1"),
    (
        {"data": {"root": "d", "labels": [True, False]}},
        "data.labels: found true; allowed: a list of names, or the path of a file with one a line;"
        " put it in quotes if it is meant as text",
    ),
    (
        {"data": {"root": "d", "span": "newest"}},
        'data.span: found "newest"; allowed: latest or a whole number from 0',
    ),
    ({"data": {"root": "d", "span": -1}}, "data.span: found -1; allowed: latest or a whole number"),
    (
        {"data": {"root": "d", "splits": {"train": 0.8}}},
        "data.splits: found train 0.8 + val 0.15 + test 0.15 = 1.1; allowed: shares that sum to 1",
    ),
    (
        {"data": {"root": "d", "splits": {"train": 1.0}}},
        "data.splits.train: found 1.0; allowed: a number above 0 and below 1",
    ),
    ({"image": {"size": 31}}, "image.size: found 31; allowed: a whole number from 32 up to 1024"),
    ({"image": {"size": 1025}}, "image.size: found 1025; allowed: a whole number from 32"),
    ({"image": {"crop": 0}}, "image.crop: found 0; allowed: a number above 0 up to 1"),
    ({"image": {"crop": float("nan")}}, "image.crop: found .nan; allowed: a number above 0"),
    (
        {"backbone": {"name": "efficientnet_lit0"}},
        'backbone.name: found "efficientnet_lit0"; allowed: efficientnet_lite0',
    ),
    (
        {"backbone": {"weights": "bundle"}},
        'backbone.weights: found "bundle"; allowed for efficientnet_lite0: bundled, none, or a path'
        " with a / in it; did you mean bundled?",
    ),
    ({"trainer": {"mode": "tail"}}, 'trainer.mode: found "tail"; allowed: head'),
    ({"trainer": {"epochs": 0}}, "trainer.epochs: found 0; allowed: a whole number from 1 up to"),
    ({"trainer": {"epochs": "many"}}, 'trainer.epochs: found "many"; allowed: a whole number'),
    ({"trainer": {"epochs": True}}, "trainer.epochs: found true; allowed: a whole number"),
    ({"trainer": {"batch_size": 2.5}}, "trainer.batch_size: found 2.5; allowed: a whole number"),
    ({"trainer": {"learning_rate": 0}}, "trainer.learning_rate: found 0; allowed: a number above"),
    ({"trainer": {"learning_rate": 11}}, "trainer.learning_rate: found 11; allowed: a number"),
    (
        {"trainer": {"optimizer": "adm"}},
        'trainer.optimizer: found "adm"; allowed: adam or rmsprop or sgd',
    ),
    ({"trainer": {"dropout": 1}}, "trainer.dropout: found 1; allowed: a number from 0 and below 1"),
    ({"trainer": {"normalize": 1}}, "trainer.normalize: found 1; allowed: true or false"),
    ({"trainer": {"patience": 0}}, "trainer.patience: found 0; allowed: a whole number from 1"),
    ({"trainer": {"epoch": 3}}, "trainer.epoch: unknown key; did you mean trainer.epochs?"),
    ({"trainer": {3: 4}}, "trainer.3: unknown key; allowed: mode, epochs, batch_size"),
    ({"epochs": 3}, "epochs: unknown key; did you mean trainer.epochs?"),
    ({"colour": 3}, "colour: unknown key; allowed: name, data, image, backbone, trainer"),
    (
        {"evaluation": {"thresholds": {"acuracy": {"min": 0.5}}}},
        "evaluation.thresholds.acuracy: unknown key; did you mean evaluation.thresholds.accuracy?",
    ),
    (
        {"evaluation": {"thresholds": {"regression": {"macro_f2": {"max_drop": 0.1}}}}},
        "evaluation.thresholds.regression.macro_f2: unknown key; did you mean"
        " evaluation.thresholds.regression.macro_f1?",
    ),
    (
        {"evaluation": {"thresholds": {"macro_f1": {}}}},
        "evaluation.thresholds.macro_f1: found neither min nor max; allowed: one of them or both",
    ),
    (
        {"evaluation": {"thresholds": {"macro_f1": {"min": 0.5, "max": 0.25}}}},
        "evaluation.thresholds.macro_f1: found min 0.5 above max 0.25; allowed: min up to max",
    ),
    (
        {"evaluation": {"thresholds": {"macro_f1": {"min": 75}}}},
        "evaluation.thresholds.macro_f1.min: found 75; allowed: a number from 0 up to 1",
    ),
    (
        {"evaluation": {"beat_majority": False, "thresholds": {"accuracy": None}}},
        "evaluation: found beat_majority false and no metric with min or max in thresholds",
    ),
    (
        {"evaluation": {"thresholds": {"regression": {"accuracy": {"max_drop": 2}}}}},
        "evaluation.thresholds.regression.accuracy.max_drop: found 2; allowed: a number from 0",
    ),
    (
        {"evaluation": {"thresholds": {"each_slice": {"min_examples": 30}}}},
        "evaluation.thresholds.each_slice: found no metric; allowed: one or more of accuracy",
    ),
    ({"evaluation": {"slices": ["a", "a"]}}, 'evaluation.slices: found "a" twice or blank'),
    (
        {"evaluation": {"slices": ["image/brightness"]}},
        'evaluation.slices: found "image/brightness", of which nearly every image has another'
        " value; allowed: features with a few values, such as image/source",
    ),
    ({"evaluation": {"slices": "a"}}, 'evaluation.slices: found "a"; allowed: a list of text'),
    (
        {"kubeflow": {"steps": {"trainer": {"memory": "8Gi"}}}},
        'kubeflow.steps.trainer.memory: found "8Gi"; allowed: a number',
    ),
    (
        {"kubeflow": {"steps": {"trainer": {"memroy": 8.0}}}},
        "kubeflow.steps.trainer.memroy: unknown key; did you mean kubeflow.steps.trainer.memory?",
    ),
    ({"push": {"keep": 0}}, "push.keep: found 0; allowed: a whole number from 1"),
    ({"push": 5}, "push: found 5; allowed: a mapping with keep"),
    (
        {"output": "runs/{nmae}"},
        'output: found "runs/{nmae}"; allowed: no braces other than {name}',
    ),
]


@pytest.mark.parametrize(("sections", "expected"), WRONG, ids=[text[:60] for _, text in WRONG])
def test_a_wrong_value_is_told_in_one_line(tmp_path, sections, expected):
    message = _message(tmp_path, _smallest(**sections))
    assert message.startswith(f"c.yaml: {expected}")
    assert "\n" not in message


def test_several_mistakes_are_a_line_each_and_five_lines_at_most(tmp_path):
    values = dict.fromkeys(("epochs", "batch_size", "learning_rate", "dropout", "patience"), -1)
    five = _message(tmp_path, _smallest(trainer=values)).splitlines()
    assert [line.split(":")[1].strip() for line in five] == [f"trainer.{key}" for key in values]

    seven = _message(tmp_path, _smallest(trainer=values, name="A", push=3)).splitlines()
    assert len(seven) == 6
    assert seven[-1] == "c.yaml: 2 more such errors"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "c.yaml: found nothing; allowed: a mapping with name, data"),
        ("- a", "c.yaml: found a list; allowed: a mapping with name, data"),
        ("just text", 'c.yaml: found "just text"; allowed: a mapping with name, data'),
        ("name: a\ndata: {root: d\n", "c.yaml: not YAML at line 3: "),
        ("name: a\nname: b\n", "c.yaml: not YAML at line 2: key name stands twice"),
        (
            "name: a\ntrainer:\n  epochs: 1\n  seed: 2\n  epochs: 3\n",
            "c.yaml: not YAML at line 5: key epochs stands twice",
        ),
        ("name: !!python/object:os.system {}", "c.yaml: not YAML at line 1: could not determine a"),
        ("name: 2024-99-99", "c.yaml: not YAML: month must be in 1..12"),
        ("name: a\x07", "c.yaml: not YAML: unacceptable character"),
    ],
)
def test_a_file_that_is_no_config(tmp_path, text, expected):
    message = _message(tmp_path, text)
    assert message.startswith(expected)
    assert "\n" not in message


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match=r"no\.yaml: there is no such file; retrain init writes"):
        config.load(tmp_path / "no.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        config.load(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("name: é".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml: cannot be read: it is not UTF-8 text"):
        config.load(tmp_path / "latin.yaml")


def test_overrides_come_before_the_file(tmp_path):
    loaded = _load(
        tmp_path,
        _smallest(trainer={"epochs": 3, "seed": 7}),
        "trainer.epochs=4",
        "trainer.epochs=5",
        "trainer.learning_rate=1e-4",
        "data.labels=[a, b]",
        "evaluation.thresholds.each_slice.accuracy.min=0.5",
        "backbone.weights=./a=b",
        "name=dogs",
    )
    assert (loaded.trainer.epochs, loaded.trainer.seed) == (5, 7)
    assert loaded.trainer.learning_rate == 1e-4
    assert loaded.data.labels == ("a", "b")
    assert loaded.evaluation.thresholds.each_slice.limits()["accuracy"].min == 0.5
    assert loaded.backbone.weights.endswith("/a=b")
    assert loaded.output.endswith("runs/dogs")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("trainer.epochs", "--set trainer.epochs: allowed: section.key=value, as in trainer."),
        ("trainer.=1", "--set trainer.=1: allowed: section.key=value"),
        ("=1", "--set =1: allowed: section.key=value"),
        ("trainer.epochs=x", '--set: trainer.epochs: found "x"; allowed: a whole number from 1'),
        ("trainer.epochs=", "--set: trainer.epochs: found null; allowed: a whole number from 1"),
        ("trainer.epoch=1", "--set: trainer.epoch: unknown key; did you mean trainer.epochs?"),
        ("trainer.epochs.a=1", "--set: trainer.epochs: found a mapping; allowed: a whole number"),
        ("train.epochs=1", "--set: train: unknown key; did you mean trainer?"),
        ("data.splits.train=0.9", "--set: data.splits: found train 0.9 + val 0.15 + test 0.15"),
        ("data.labels=[a", "--set data.labels: not YAML at line 1: "),
    ],
)
def test_a_wrong_override_is_told_as_one(tmp_path, override, expected):
    message = _message(tmp_path, _smallest(), override)
    assert message.startswith(expected)
    assert "\n" not in message


def test_a_mistake_in_the_file_is_not_blamed_on_an_override(tmp_path):
    text = _smallest(trainer={"epoch": 3, "seed": -1})
    assert _message(tmp_path, text, "trainer.patience=3").splitlines() == [
        "c.yaml: trainer.seed: found -1; allowed: a whole number from 0 up to 4294967295",
        "c.yaml: trainer.epoch: unknown key; did you mean trainer.epochs?",
    ]


def test_labels_come_from_the_list_the_file_or_the_root(tmp_path):
    (tmp_path / "labels.txt").write_text("cat\r\n dog \n\n", encoding="utf-8-sig")
    (tmp_path / "names.txt").write_text("ä b\nc", encoding="utf-8")

    def labels(**data: object) -> tuple[str, ...]:
        return config.read_labels(
            Config.model_validate({"name": "a", "data": {"root": str(tmp_path), **data}})
        )

    assert labels() == ("cat", "dog")
    assert labels(labels=str(tmp_path / "names.txt")) == ("ä b", "c")
    assert labels(labels=["x", "y"]) == ("x", "y")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "labels.txt: found no name; allowed: two or more names"),
        (b"cat\n\n", 'labels.txt: found 1 name, "cat"; allowed: two or more names'),
        (b"a\n\nb\n", "labels.txt: found a blank name for class 1; allowed: no blank ones"),
        (b"a\nb\na\n", 'labels.txt: found "a" for class 0 and again for class 2'),
        ("caf\u00e9\ntea\ncafe\u0301\n".encode(), 'labels.txt: found "caf'),
        (b"\xff", "data.labels: labels.txt cannot be read: 'utf-8' codec"),
        (None, "data.labels: labels.txt does not exist; allowed: a file with one class name a"),
    ],
)
def test_a_wrong_file_of_labels(tmp_path, content, expected):
    if content is not None:
        (tmp_path / "labels.txt").write_bytes(content)
    settings = {"name": "a", "data": {"root": str(tmp_path)}}
    with pytest.raises(ConfigError) as caught:
        config.read_labels(Config.model_validate(settings))
    assert str(caught.value).replace(f"{tmp_path}/", "").startswith(expected)


def test_many_labels_are_checked_quickly():
    labels = [f"class {number}" for number in range(30_000)]
    loaded = Config.model_validate({"name": "a", "data": {"root": "d", "labels": labels}})
    assert config.read_labels(loaded) == tuple(labels)


def test_an_error_is_told_within_a_second_and_loads_nothing_heavy(tmp_path):
    (tmp_path / "c.yaml").write_text(_smallest(trainer={"epoch": 3}))
    program = """
import sys, time
from pipeline import config
from pipeline.config import template
from pipeline.data import spans
try:
    config.load(sys.argv[1])
except config.ConfigError as error:
    print(error)
heavy = {"tensorflow", "numpy", "tfx", "apache_beam", "keras"} & set(sys.modules)
print(heavy or "nothing heavy", time.process_time())
"""
    command = [sys.executable, "-c", program, str(tmp_path / "c.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    message, modules = done.stdout.splitlines()
    assert message.endswith("trainer.epoch: unknown key; did you mean trainer.epochs?")
    assert modules.startswith("nothing heavy ")
    assert float(modules.split()[-1]) < 1
