"""A stand-in for the REST API of Kubeflow Pipelines, strict about the names of fields.

`openapi_fields.json` holds the field names of the published OpenAPI (kubeflow/pipelines 2.5.0,
backend/api/v2beta1/swagger/kfp_api_single_file.swagger.json).
"""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

FIELDS: dict[str, list[str]] = json.loads(
    Path(__file__).with_name("openapi_fields.json").read_text("utf-8")
)
PREFIX = "/apis/v2beta1"
Json = dict[str, Any]


class Stub(http.server.ThreadingHTTPServer):
    """Keeps what it is sent; `fail` makes it answer with a status, `page` with a web page."""

    def __init__(self) -> None:
        """Listens on a free port of this machine."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kept: dict[str, list[Json]] = {
            name: [] for name in ("experiments", "pipelines", "versions", "runs", "recurringruns")
        }
        self.fail: tuple[str, int] | None = None
        self.page: bytes | None = None
        self.tokens: set[str | None] = set()
        self.wrong: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def keep(self, collection: str, content: Json, id_field: str) -> Json:
        kept = self.kept[collection]
        content = {**content, id_field: f"{collection}-{len(kept) + 1}"}
        kept.append(content)
        return content


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Stub

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def _handle(self) -> None:
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.tokens.add(self.headers.get("authorization"))
        path = url.path.removeprefix(PREFIX)
        if self.server.fail and re.search(self.server.fail[0], f"{self.command} {path}"):
            self._answer({"message": "as the test asked"}, self.server.fail[1])
            return
        try:
            self._answer(self._route(path, query, body))
        except (AssertionError, KeyError) as error:
            self.server.wrong.append(f"{self.command} {path}: {error!r}")
            self._answer({"message": repr(error)}, 400)

    do_GET = do_POST = do_DELETE = _handle  # noqa: N815, the names are the library's

    def _route(  # noqa: PLR0911, one a path
        self, path: str, query: dict[str, str], body: bytes
    ) -> Json:
        kept = self.server.kept
        match (self.command, path.strip("/").split("/")):
            case ("GET", ["healthz"]):
                return {"multi_user": False}
            case ("GET", ["experiments" | "pipelines" as name]):
                return {name: _of_namespace(_filtered(kept[name], query), query)}
            case ("GET", ["pipelines", pipeline, "versions"]):
                found = [one for one in kept["versions"] if one["pipeline_id"] == pipeline]
                return {"pipeline_versions": found}
            case ("POST", ["experiments"]):
                content = _checked("experiment", json.loads(body))
                return self.server.keep("experiments", content, "experiment_id")
            case ("POST", ["pipelines"]):
                content = _checked("pipeline", json.loads(body))
                same = [one for one in kept["pipelines"] if _key(one) == _key(content)]
                assert not same, "its name is taken in this namespace"
                return self.server.keep("pipelines", content, "pipeline_id")
            case ("POST", ["pipelines", "upload_version"]):
                return self._upload(query, body)
            case ("POST", ["runs"]):
                content = _checked("run", json.loads(body))
                return self.server.keep("runs", content, "run_id")
            case ("GET", ["runs"]):
                return {"runs": _filtered(kept["runs"], query)}
            case ("POST", ["recurringruns"]):
                content = _checked("recurring_run", json.loads(body))
                return self.server.keep("recurringruns", content, "recurring_run_id")
            case ("GET", ["recurringruns"]):
                return {
                    "recurringRuns": [one for one in kept["recurringruns"] if "gone" not in one]
                }
            case (_, ["recurringruns", name]):
                return self._change(name)
        raise AssertionError("no such path")

    def _upload(self, query: dict[str, str], body: bytes) -> Json:
        assert query.keys() <= {"name", "pipelineid", "description"}
        boundary = self.headers["Content-Type"].partition("boundary=")[2].encode()
        (part,) = [part for part in body.split(b"--" + boundary) if b'name="uploadfile"' in part]
        spec = next(yaml.safe_load_all(part.partition(b"\r\n\r\n")[2].decode()))
        assert spec["schemaVersion"] == "2.1.0"
        content = {"display_name": query["name"], "pipeline_id": query["pipelineid"]}
        return self.server.keep("versions", content, "pipeline_version_id")

    def _change(self, name: str) -> Json:
        name, _, verb = name.partition(":")
        (found,) = [o for o in self.server.kept["recurringruns"] if o["recurring_run_id"] == name]
        if self.command == "DELETE":
            found["gone"] = True
        else:
            found["mode"] = {"disable": "DISABLE", "enable": "ENABLE"}[verb]
        return {}

    def _answer(self, content: Json, status: int = 200) -> None:
        text = self.server.page or json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def _checked(kind: str, content: Json) -> Json:
    unknown = content.keys() - set(FIELDS[kind])
    assert not unknown, f"{kind} has no field {unknown}"
    for key, value in content.items():
        if key in FIELDS and isinstance(value, dict):
            _checked(key, value)
    return content


def _filtered(kept: list[Json], query: dict[str, str]) -> list[Json]:
    if "filter" not in query:
        return kept
    (predicate,) = json.loads(query["filter"])["predicates"]
    assert predicate["operation"] in (1, "EQUALS")  # an enum, by number or by name
    wanted = predicate.get("stringValue", predicate.get("string_value"))
    return [one for one in kept if one[predicate["key"]] == wanted]


def _key(pipeline: Json) -> tuple[str, str]:
    return pipeline["display_name"], pipeline.get("namespace", "")


def _of_namespace(kept: list[Json], query: dict[str, str]) -> list[Json]:
    return [one for one in kept if one.get("namespace", "") == query.get("namespace", "")]


@contextlib.contextmanager
def running() -> Iterator[Stub]:
    """Runs a stub while the context lasts."""
    stub = Stub()
    thread = threading.Thread(target=stub.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        stub.shutdown()
        thread.join()
        stub.server_close()
