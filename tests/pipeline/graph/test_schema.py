"""The curated schema is made from the config, and its file's name from its content."""

from __future__ import annotations

from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils

from pipeline.graph import schema
from tests.conftest import LABELS


def _features(found: schema_pb2.Schema) -> dict[str, schema_pb2.Feature]:
    names = [feature.name for feature in found.feature]
    assert len(names) == len(set(names)), "a feature stands twice"
    return dict(zip(names, found.feature, strict=True))


def test_the_image_is_required_and_dense() -> None:
    image = _features(schema.curated(LABELS, ()))["image/encoded"]
    assert image.type == schema_pb2.BYTES
    assert image.presence.min_fraction == 1.0
    assert [dim.size for dim in image.shape.dim] == [1]
    # Without it, StatisticsGen takes the bytes for text and floods the log.
    assert image.HasField("image_domain")


def test_labels_bound_both_label_features() -> None:
    features = _features(schema.curated(LABELS, ()))
    domain = features["image/class/label"].int_domain
    assert (domain.min, domain.max) == (0, len(LABELS) - 1)
    assert tuple(features["image/class/text"].string_domain.value) == LABELS


def test_a_slice_is_an_optional_feature_once_wherever_it_is_declared() -> None:
    slices = ("image/source", "image/class/text", "image/class/label", "image/height", "my/own")
    features = _features(schema.curated(LABELS, slices))
    assert set(slices) <= set(features)
    assert features["my/own"].type == schema_pb2.BYTES
    assert features["image/height"].type == schema_pb2.INT
    assert features["my/own"].presence.min_fraction == 0


def test_a_slice_must_be_in_the_data_and_the_rest_need_not() -> None:
    features = _features(schema.curated(LABELS, ("my/own",)))
    assert features["my/own"].presence.min_count == 1
    assert not features["image/source"].HasField("presence")


def test_transform_reads_the_image_dense_and_the_rest_sparse() -> None:
    spec = schema_utils.schema_as_feature_spec(schema.curated(LABELS, ("my/own",))).feature_spec
    kinds = {name: type(feature).__name__ for name, feature in spec.items()}
    assert kinds.pop("image/encoded") == "FixedLenFeature"
    assert set(kinds.values()) == {"VarLenFeature"}


def test_the_file_holds_the_schema_and_is_named_after_it(tmp_path: Path) -> None:
    curated = schema.curated(LABELS, ())
    path = schema.write(curated, str(tmp_path / "deep"))
    text = Path(path).read_text("utf-8")
    assert text_format.Parse(text, schema_pb2.Schema()) == curated
    assert schema.write(curated, str(tmp_path / "deep")) == path
    others = {
        schema.write(schema.curated(labels, slices), str(tmp_path / "deep"))
        for labels, slices in ((LABELS[::-1], ()), (LABELS[:2], ()), (LABELS, ("my/own",)))
    }
    assert len(others | {path}) == 4
