"""TF Serving's services, called by the official stubs."""

from __future__ import annotations

import socket
from pathlib import Path

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    input_pb2,
    model_management_pb2,
    model_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving.options import Options
from serving.server import Server
from tests.serving.conftest import MODEL, PATIENCE, Client


def _spec(name: str = MODEL, signature: str = "", **choice: object) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=name, signature_name=signature)
    if "version" in choice:
        spec.version.value = choice["version"]
    if "label" in choice:
        spec.version_label = choice["label"]
    return spec


def _predict(spec: model_pb2.ModelSpec, **inputs: object) -> predict_pb2.PredictRequest:
    tensors = {name: tf.make_tensor_proto(value) for name, value in inputs.items()}
    return predict_pb2.PredictRequest(model_spec=spec, inputs=tensors)


def _input(*values: float) -> input_pb2.Input:
    examples = input_pb2.Input()
    for value in values:
        example = examples.example_list.examples.add()
        example.features.feature["x"].float_list.value.append(value)
    return examples


@pytest.mark.parametrize(
    ("spec", "constant"),
    [
        (_spec(), 3),
        (_spec(version=2), 2),
        (_spec(label="stable"), 2),
        (_spec(label="canary"), 3),
    ],
)
def test_predict_names_the_version_that_answered(
    client: Client, spec: model_pb2.ModelSpec, constant: int
) -> None:
    response = client.predictions.Predict(_predict(spec, x=[1.0, 2.0]), timeout=PATIENCE)
    assert list(response.outputs["y"].float_val) == [0.5 + constant, 1.0 + constant]
    assert response.model_spec.version.value == constant
    assert response.model_spec.signature_name == "serving_default"


def test_the_output_filter_chooses(client: Client) -> None:
    request = _predict(_spec(signature="pair"), text=[b"a"], numbers=[[1, 2]])
    request.output_filter.append("total")
    response = client.predictions.Predict(request, timeout=PATIENCE)
    assert list(response.outputs) == ["total"]
    assert tf.make_ndarray(response.outputs["total"]).tolist() == [3]


def test_classify(client: Client) -> None:
    request = classification_pb2.ClassificationRequest(
        model_spec=_spec(signature="classify"), input=_input(1.0)
    )
    result = client.predictions.Classify(request, timeout=PATIENCE).result
    assert [(one.label, one.score) for one in result.classifications[0].classes] == [
        ("half", 3.5),
        ("plus", -3.5),
    ]


def test_regress_and_several_tasks_at_once_are_refused(ours: Client) -> None:
    spec, method = _spec(signature="regress"), "tensorflow/serving/regress"
    regress = regression_pb2.RegressionRequest(model_spec=spec, input=_input(1.0))
    several = inference_pb2.MultiInferenceRequest(input=_input(1.0))
    several.tasks.add(model_spec=spec, method_name=method)
    for call, request in (
        (ours.predictions.Regress, regress),
        (ours.predictions.MultiInference, several),
    ):
        with pytest.raises(grpc.RpcError) as error:
            call(request, timeout=PATIENCE)
        assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert error.value.details()


def test_metadata_and_status(client: Client) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(
        model_spec=_spec(label="stable"), metadata_field=["signature_def"]
    )
    response = client.predictions.GetModelMetadata(request, timeout=PATIENCE)
    known = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(known)
    assert "pair" in known.signature_def
    assert response.model_spec.version.value == 2
    status = client.models.GetModelStatus(
        get_model_status_pb2.GetModelStatusRequest(model_spec=_spec()), timeout=PATIENCE
    ).model_version_status
    assert [(one.version, one.state) for one in status] == [
        (3, get_model_status_pb2.ModelVersionStatus.AVAILABLE),
        (2, get_model_status_pb2.ModelVersionStatus.AVAILABLE),
    ]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (_predict(_spec(name=""), x=[1.0]), grpc.StatusCode.INVALID_ARGUMENT),
        (_predict(_spec(name="no"), x=[1.0]), grpc.StatusCode.NOT_FOUND),
        (_predict(_spec(version=9), x=[1.0]), grpc.StatusCode.NOT_FOUND),
        (_predict(_spec(label="no"), x=[1.0]), grpc.StatusCode.INVALID_ARGUMENT),
        (_predict(_spec(signature="no"), x=[1.0]), grpc.StatusCode.FAILED_PRECONDITION),
        (_predict(_spec(), x=[1]), grpc.StatusCode.INVALID_ARGUMENT),
        (_predict(_spec(), x=[[1.0]]), grpc.StatusCode.INVALID_ARGUMENT),
        (_predict(_spec(), z=[1.0]), grpc.StatusCode.INVALID_ARGUMENT),
        (_predict(_spec(), x=[1.0], z=[1.0]), grpc.StatusCode.INVALID_ARGUMENT),
        (_predict(_spec()), grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_errors_have_tf_serving_s_codes(
    client: Client, request_: predict_pb2.PredictRequest, code: grpc.StatusCode
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        client.predictions.Predict(request_, timeout=PATIENCE)
    assert error.value.code() is code
    assert error.value.details()


def test_a_config_that_labels_what_is_not_there_is_refused_and_changes_nothing(
    client: Client, models: object
) -> None:
    request = model_management_pb2.ReloadConfigRequest()
    entry = request.config.model_config_list.config.add(
        name=MODEL, base_path=str(models), model_platform="tensorflow"
    )
    entry.model_version_policy.all.SetInParent()
    entry.version_labels.update({"stable": 2, "canary": 9})
    with pytest.raises(grpc.RpcError) as error:
        client.models.HandleReloadConfigRequest(request, timeout=PATIENCE)
    assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    response = client.predictions.Predict(
        _predict(_spec(label="canary"), x=[0.0]), timeout=PATIENCE
    )
    assert response.model_spec.version.value == 3


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")
def test_it_listens_on_an_ipv6_address(models: Path) -> None:
    options = Options(
        host="::1", port=0, grpc_port=0, model_name=MODEL, model_base_path=str(models)
    )
    server = Server(options)
    try:
        with grpc.insecure_channel(f"[::1]:{server.grpc_port}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            assert stub.Predict(_predict(_spec(), x=[1.0]), timeout=PATIENCE).outputs
    finally:
        server.stop()
