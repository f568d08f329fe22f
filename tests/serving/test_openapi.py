"""Every answer, to right and wrong requests, has a form that the API's description lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.serving.conftest import MODEL, PATIENCE, Client

pytestmark = pytest.mark.slow

_DESCRIPTION = Path(__file__).resolve().parents[2] / "serving" / "openapi.yaml"
_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def _of_the_test_models() -> Any:
    """Reads the description, and gives it names that exist and names that do not."""
    document = yaml.safe_load(_DESCRIPTION.read_text("utf-8"))
    known = {"Model": [MODEL, "no"], "Version": [2, 3, 9], "Label": ["stable", "canary", "no"]}
    for name, values in known.items():
        document["components"]["parameters"][name]["schema"] = {"enum": values}
    document["components"]["schemas"]["SignatureName"]["enum"] = [
        *("", "serving_default", "pair", "classify", "regress", "image", "no")
    ]
    return document


schema = schemathesis.openapi.from_dict(_of_the_test_models())


@schema.parametrize()
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.filter_too_much,
        HealthCheck.too_slow,
    ],
)
def test_every_answer_is_one_that_is_described(case: Any, alive: Client) -> None:
    address = f"http://127.0.0.1:{alive.server.port}"
    case.call_and_validate(base_url=address, checks=_CHECKS, timeout=PATIENCE)
