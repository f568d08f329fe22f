"""Records that people have come in as they lie: other names, labels from 1, no val."""

import json
from pathlib import Path

import pytest
import tensorflow as tf
import yaml

from pipeline.data import peek
from tests.e2e.conftest import Workspace, make_workspace

pytestmark = pytest.mark.slow

_TRAIN, _TEST = 400, 100


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Workspace:
    """A folder as TensorFlow Datasets writes it, but with labels from 1."""
    folder = tmp_path_factory.mktemp("records")
    data = folder / "digits" / "1.0.0"
    data.mkdir(parents=True)
    (source,) = digits.glob("span-0/*.tfrecord")
    examples = iter(peek.examples(source, _TRAIN + _TEST))
    for split, count in (("train", _TRAIN), ("test", _TEST)):
        file = data / f"digits-{split}.tfrecord-00000-of-00001"
        with tf.io.TFRecordWriter(str(file)) as writer:
            for _ in range(count):
                found = next(examples)
                example = tf.train.Example()
                features = example.features.feature
                features["image"].bytes_list.value[:] = found["image/encoded"]
                features["label"].int64_list.value[:] = [1 + int(found["image/class/label"][0])]
                writer.write(example.SerializeToString())
    (data / "dataset_info.json").write_text(json.dumps({"name": "digits", "version": "1.0.0"}))
    (data / "features.json").write_text("{}")
    (data / "label.labels.txt").write_text("\n".join(map(str, range(10))))
    return make_workspace(folder, data)


def test_what_is_missing_in_the_config_is_proposed_until_it_runs(records: Workspace) -> None:
    above = records.run(f"data.root={records.folder}/digits")
    assert above.code == 2
    assert f"did you mean {records.folder}/digits/1.0.0?" in above.errors

    labels = f"data.labels=[{', '.join(repr(str(digit)) for digit in range(10))}]"
    named = records.run(labels)
    assert named.code == 2
    assert "did you mean data.features: {image: image, label: label}?" in named.errors

    settings = yaml.safe_load(records.config.read_text())
    settings["data"]["features"] = {"image": "image", "label": "label"}
    records.config.write_text(yaml.safe_dump(settings))
    from_one = records.run()
    assert from_one.code == 2
    assert "did you mean data.features.label_base: 1?" in from_one.errors

    # So few images at this size teach it nothing of some digits, which is not what is tested here.
    done = records.run("data.features.label_base=1", "evaluation.beat_majority=false")
    assert done.code == 0, done.output + done.errors
    assert "the data brings no val: it is cut from train by class" in done.errors
    clean = done.json["data"]["clean"]
    assert clean["test"] == _TEST
    # Copies of test images may have left train.
    removed = done.json["data"]["removed_from_train"]
    assert clean["train"] + clean["val"] + removed == _TRAIN
    assert 0.1 < clean["val"] / _TRAIN < 0.25
    assert done.json["metrics"]["accuracy"] > 0.3
