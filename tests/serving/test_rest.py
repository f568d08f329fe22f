"""TF Serving's documented REST examples: statuses and shapes of the answers."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.serving.conftest import MODEL, Client

PREDICT = f"/v1/models/{MODEL}:predict"
CLASSIFY = f"/v1/models/{MODEL}:classify"
B64 = {"b64": base64.b64encode(b"\xff\x00 raw").decode()}


@pytest.mark.parametrize(
    ("path", "constant"),
    [
        (PREDICT, 3),
        (f"/v1/models/{MODEL}/versions/2:predict", 2),
        (f"/v1/models/{MODEL}/versions/3:predict", 3),
        (f"/v1/models/{MODEL}/labels/stable:predict", 2),
        (f"/v1/models/{MODEL}/labels/canary:predict", 3),
    ],
)
def test_rows_are_answered_by_the_version_that_the_path_means(
    client: Client, path: str, constant: int
) -> None:
    answer = client.post(path, {"instances": [1.0, 2.0, 5.0]})
    assert answer.status == 200
    assert answer.json == {"predictions": [0.5 + constant, 1.0 + constant, 2.5 + constant]}


@pytest.mark.parametrize(
    ("body", "answered"),
    [
        ({"instances": [1, 2]}, {"predictions": [3.5, 4.0]}),
        ({"instances": [{"x": 1.0}, {"x": 2.0}]}, {"predictions": [3.5, 4.0]}),
        ({"inputs": [1.0, 2.0]}, {"outputs": [3.5, 4.0]}),
        ({"inputs": {"x": [1.0, 2.0]}}, {"outputs": [3.5, 4.0]}),
        ({"signature_name": "serving_default", "instances": [0]}, {"predictions": [3.0]}),
        (
            {
                "signature_name": "pair",
                "instances": [
                    {"text": "a", "numbers": [1, 2]},
                    {"text": B64, "numbers": [3, 4]},
                ],
            },
            {
                "predictions": [
                    {"text_bytes": {"b64": "YQ=="}, "total": 3},
                    {"text_bytes": B64, "total": 7},
                ]
            },
        ),
        (
            {"signature_name": "pair", "inputs": {"text": ["a"], "numbers": [[1, 2]]}},
            {"outputs": {"text_bytes": [{"b64": "YQ=="}], "total": [3]}},
        ),
    ],
)
def test_rows_and_columns_one_and_several_inputs(client: Client, body: Any, answered: Any) -> None:
    answer = client.post(PREDICT, body)
    assert (answer.status, answer.json) == (200, answered)


def test_classify(client: Client) -> None:
    examples = [{"x": 1.0}, {"x": 2.0}]
    classified = client.post(CLASSIFY, {"signature_name": "classify", "examples": examples})
    assert classified.status == 200
    assert classified.json == {
        "results": [[["half", 3.5], ["plus", -3.5]], [["half", 4.0], ["plus", -4.0]]]
    }


def test_the_context_goes_into_every_example(client: Client) -> None:
    body = {"signature_name": "classify", "context": {"x": 4.0}, "examples": [{}, {"x": 2.0}]}
    assert client.post(CLASSIFY, body).json == {
        "results": [[["half", 5.0], ["plus", -5.0]], [["half", 4.0], ["plus", -4.0]]]
    }


def test_regress_is_refused(ours: Client) -> None:
    body = {"signature_name": "regress", "examples": [{"x": 1.0}]}
    answer = ours.post(f"/v1/models/{MODEL}:regress", body)
    assert answer.status == 501
    assert list(answer.json) == ["error"]
    assert "Regress" in answer.json["error"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", PREDICT, "", 400, "The document is empty"),
        ("POST", PREDICT, "{", 400, "JSON Parse error"),
        ("POST", PREDICT, "[1]", 400, "Is not object"),
        ("POST", PREDICT, "{}", 400, "Missing 'inputs' or 'instances' key"),
        ("POST", PREDICT, '{"instances": 1}', 400, "Expecting 'instances' to be an list/array"),
        ("POST", PREDICT, '{"instances": []}', 400, "No values in 'instances' array"),
        ("POST", PREDICT, '{"instances": [1], "inputs": [1]}', 400, "only one of"),
        ("POST", PREDICT, '{"instances": ["a"]}', 400, "is not of expected type: float"),
        ("POST", PREDICT, '{"instances": [[1], [1, 2]]}', 400, "Expecting tensor size: 1"),
        ("POST", PREDICT, '{"instances": [{"z": 1}]}', 400, "does not have named input: z"),
        ("POST", PREDICT, '{"inputs": {"z": 1}}', 400, "Missing named input: x"),
        ("POST", PREDICT, '{"inputs": [[1.0]]}', 400, "to have shape [-1]"),
        ("POST", PREDICT, '{"signature_name": "no", "instances": [1]}', 400, '"no" not found'),
        ("POST", PREDICT, '{"signature_name": 1, "instances": [1]}', 400, "must be a string value"),
        ("POST", "/v1/models/no:predict", '{"instances": [1]}', 404, "Servable not found"),
        ("POST", f"/v1/models/{MODEL}/versions/9:predict", '{"instances": [1]}', 404, "not found"),
        ("POST", f"/v1/models/{MODEL}/labels/no:predict", '{"instances": [1]}', 400, "label: no"),
        ("POST", f"/v1/models/{MODEL}/versions/x:predict", "{}", 400, "Malformed request"),
        ("POST", f"/v1/models/{MODEL}:explain", "{}", 400, "Malformed request"),
        ("POST", f"/v1/models/{MODEL}", "{}", 400, "Malformed request"),
        ("PUT", PREDICT, "{}", 400, "Malformed request"),
        ("GET", PREDICT, None, 400, "Malformed request"),
        ("GET", "/v1/models", None, 400, "Missing model name"),
        ("GET", "/v1/models/no", None, 404, "Could not find any versions of model no"),
        ("GET", "/v1/models/a%0Ab", None, 404, "Could not find any versions of model a\nb"),
        ("GET", f"/v1/models/{MODEL}/versions/9", None, 404, "Could not find version 9"),
        ("GET", "/v1/models/no/metadata", None, 404, "Servable not found"),
        (
            "POST",
            CLASSIFY,
            '{"signature_name": "regress", "examples": [{"x": 1.0}]}',
            400,
            "classification signature outputs",
        ),
        ("POST", CLASSIFY, '{"examples": 1}', 400, "Expecting 'examples' value"),
        ("POST", CLASSIFY, "{}", 400, "key 'examples' is expected"),
    ],
)
def test_errors_have_tf_serving_s_status_and_one_error_text(
    client: Client, method: str, path: str, body: str | None, status: int, message: str
) -> None:
    answer = client.request(method, path, None if body is None else body.encode())
    assert answer.status == status
    assert list(answer.json) == ["error"]
    assert message in answer.json["error"]


def test_other_paths_are_not_found(client: Client) -> None:
    assert client.get("/").status == 404


def test_status_lists_versions_newest_first(client: Client) -> None:
    fine = {"error_code": "OK", "error_message": ""}
    statuses = [
        {"version": version, "state": "AVAILABLE", "status": fine} for version in ("3", "2")
    ]
    assert client.get(f"/v1/models/{MODEL}").json == {"model_version_status": statuses}
    one = client.get(f"/v1/models/{MODEL}/versions/2").json
    assert one == {"model_version_status": statuses[1:]}


def test_metadata_tells_signatures(client: Client) -> None:
    found = client.get(f"/v1/models/{MODEL}/labels/stable/metadata").json
    assert found["model_spec"] == {"name": MODEL, "signature_name": "", "version": "2"}
    signatures = found["metadata"]["signature_def"]["signature_def"]
    assert signatures["pair"]["inputs"]["numbers"]["dtype"] == "DT_INT32"
    sizes = signatures["pair"]["inputs"]["numbers"]["tensor_shape"]["dim"]
    assert [size["size"] for size in sizes] == ["-1", "2"]


def test_metrics_lie_on_tf_serving_s_path_under_its_names(client: Client) -> None:
    client.post(PREDICT, {"instances": [1.0]})
    client.post(PREDICT, {"instances": ["a"]})
    page = client.get("/monitoring/prometheus/metrics").body.decode()
    assert f':tensorflow:serving:request_count{{model_name="{MODEL}",status="OK"}}' in page
    wrong = f':tensorflow:serving:request_count{{model_name="{MODEL}",status="INVALID_ARGUMENT"}}'
    assert wrong in page
    assert ":tensorflow:serving:request_latency_bucket" in page
