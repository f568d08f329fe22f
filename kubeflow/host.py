"""A client of a Kubeflow Pipelines host: uploads pipelines, starts runs, manages schedules.

All requests go through Kubeflow's own client. The token comes from the environment, and no message
shows it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kfp_server_api
import urllib3
from kfp.client import Client

ENDPOINT, TOKEN = "KF_PIPELINES_ENDPOINT", "KF_PIPELINES_TOKEN"
_PAGE = 100
# The client's releases name its methods differently; what `kfp.Client` does not offer goes by path.
_API, _AUTHORIZED = "/apis/v2beta1", ["Bearer"]


class HostError(RuntimeError):
    """The host is unreachable or refuses a request; the message is one line with the remedy."""


@dataclass(frozen=True)
class Version:
    """The ids of an uploaded pipeline and of one of its versions."""

    pipeline: str
    version: str


@dataclass(frozen=True)
class Schedule:
    """A schedule of recurring runs."""

    id: str
    name: str
    cron: str  # six fields, seconds first
    enabled: bool  # False if the schedule is paused
    max_concurrency: int  # the largest number of the schedule's runs at one time


class Host:
    """A connection to a Kubeflow Pipelines host."""

    def __init__(self, address: str | None, namespace: str | None = None) -> None:
        """Connects to the URL `address` or, if it is None, to that in KF_PIPELINES_ENDPOINT.

        `namespace` is that of the user's profile; None if the host has no profiles.

        Raises:
            HostError: there is no address, or the host does not answer as Kubeflow Pipelines.
        """
        self._address = address or os.environ.get(ENDPOINT, "")
        if not self._address:
            raise HostError(f"found no host; give --host URL or set {ENDPOINT}")
        self._namespace = namespace
        token = os.environ.get(TOKEN) or None
        with self._told():
            # The client's own health check retries a refused connection for half a minute.
            settings = kfp_server_api.Configuration(host=self._address.rstrip("/"))
            if token:
                settings.api_key["authorization"] = token
                settings.api_key_prefix["authorization"] = "Bearer"
            with kfp_server_api.ApiClient(settings) as api:
                health = api.call_api(
                    f"{_API}/healthz", "GET", auth_settings=_AUTHORIZED, _preload_content=False
                )
            try:
                json.loads(health.data)
            except ValueError:
                raise HostError(
                    f"{self._address}: it answers with a web page; give the address of Kubeflow"
                    f" Pipelines or, if this is its login page, set {TOKEN}"
                ) from None
            self._client = Client(host=self._address, existing_token=token)

    def upload(self, name: str, text: str) -> Version:
        """Uploads the YAML of a compiled pipeline as a new version of the pipeline `name`.

        Older versions are kept. Returns the existing version if it has the same YAML.
        """
        label = f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        with self._told():
            pipeline = self._pipeline(name)
            if pipeline is None:
                body = kfp_server_api.V2beta1Pipeline(display_name=name, namespace=self._namespace)
                created = self._client.pipelines.api_client.call_api(
                    f"{_API}/pipelines",
                    "POST",
                    header_params={"Content-Type": "application/json"},
                    body=body,
                    response_type="V2beta1Pipeline",
                    auth_settings=_AUTHORIZED,
                    _return_http_data_only=True,
                )
                pipeline = created.pipeline_id
            known_versions = _every(
                "pipeline_versions", self._client.list_pipeline_versions, pipeline_id=pipeline
            )
            for known in known_versions:
                if known.display_name == label:
                    return Version(pipeline, known.pipeline_version_id)
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder, "pipeline.yaml")
                file.write_text(text, "utf-8")
                uploaded = self._client.upload_pipeline_version(
                    str(file), pipeline_version_name=label, pipeline_id=pipeline
                )
        return Version(pipeline, uploaded.pipeline_version_id)

    def submit(
        self,
        version: Version,
        experiment: str,
        name: str,
        parameters: Mapping[str, Any],
        pipeline_root: str | None,
    ) -> str:
        """Starts a run and returns its id; without `pipeline_root`, the host chooses the root."""
        with self._told():
            run = self._client.run_pipeline(
                experiment_id=self._experiment(experiment),
                job_name=name,
                pipeline_id=version.pipeline,
                version_id=version.version,
                params=dict(parameters),
                pipeline_root=pipeline_root,
            )
        return str(run.run_id)

    def runs(self, experiment: str, name: str) -> list[str]:
        """Returns the ids of the runs with this name in an experiment, failed runs included."""
        with self._told():
            found = self._client.list_runs(
                experiment_id=self._experiment(experiment), filter=_named(name), page_size=_PAGE
            )
        return [run.run_id for run in found.runs or []]

    def schedule(
        self,
        version: Version,
        experiment: str,
        name: str,
        cron: str,
        parameters: Mapping[str, Any],
        pipeline_root: str | None,
        max_concurrency: int,
    ) -> Schedule:
        """Schedules recurring runs of a version, in place of the schedules with the same name.

        Runs missed while the host was down are not started later. Kubeflow cannot edit a schedule,
        so this method creates the new schedule before it deletes the old ones: an interruption
        leaves at least one. The new schedule is paused if all old ones are.
        """
        old = [one for one in self.schedules(experiment) if one.name == name]
        enabled = not old or any(one.enabled for one in old)
        with self._told():
            created = self._client.create_recurring_run(
                experiment_id=self._experiment(experiment),
                job_name=name,
                cron_expression=cron,
                max_concurrency=max_concurrency,
                no_catchup=True,
                params=dict(parameters),
                pipeline_id=version.pipeline,
                version_id=version.version,
                pipeline_root=pipeline_root,
                enabled=enabled,
            )
            for one in old:
                self._client.delete_recurring_run(one.id)
        return Schedule(created.recurring_run_id, name, cron, enabled, max_concurrency)

    def schedules(self, experiment: str) -> list[Schedule]:
        """Returns the schedules of an experiment."""
        with self._told():
            found = _every(
                "recurring_runs",
                self._client.list_recurring_runs,
                experiment_id=self._experiment(experiment),
            )
            return [
                Schedule(
                    id=one.recurring_run_id,
                    name=one.display_name,
                    cron=one.trigger.cron_schedule.cron if one.trigger.cron_schedule else "",
                    enabled=one.mode == kfp_server_api.RecurringRunMode.ENABLE,
                    max_concurrency=int(one.max_concurrency or 1),
                )
                for one in found
            ]

    def change(self, schedule: Schedule, action: str) -> None:
        """Applies "pause", "resume" or "delete" to a schedule, but not to runs that it started."""
        change = {
            "pause": self._client.disable_recurring_run,
            "resume": self._client.enable_recurring_run,
            "delete": self._client.delete_recurring_run,
        }[action]
        with self._told():
            change(schedule.id)

    def _pipeline(self, name: str) -> str | None:
        # Names are unique within a namespace, but the client's own look-up ignores namespaces.
        found = self._client.list_pipelines(filter=_named(name), namespace=self._namespace)
        return str(found.pipelines[0].pipeline_id) if found.pipelines else None

    def _experiment(self, name: str) -> str:
        found = self._client.create_experiment(name, namespace=self._namespace)
        return str(found.experiment_id)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Raises each of the client's errors as a one-line HostError; silences its output."""
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield
            except kfp_server_api.ApiException as error:
                raise HostError(f"{self._address}: {_explained(error)}") from error
            except urllib3.exceptions.HTTPError as error:
                reason = getattr(error, "reason", None) or error
                text = str(reason).rpartition(": ")[2]
                raise HostError(
                    f"{self._address}: cannot be reached ({text}); check the address, and that the"
                    " host or its port-forward is up"
                ) from error


def _every(field: str, list_page: Callable[..., Any], **arguments: Any) -> Iterator[Any]:
    """Yields the items of all pages of a listing; `field` is the field of a page with its items."""
    token = ""
    while True:
        page = list_page(page_size=_PAGE, page_token=token, **arguments)
        yield from getattr(page, field) or []
        token = page.next_page_token
        if not token:
            return


def _named(name: str) -> str:
    predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
    return json.dumps({"predicates": [predicate]})


def _explained(error: kfp_server_api.ApiException) -> str:
    hints = {
        401: f"it asks for a token; set {TOKEN} to a valid one",
        403: f"the token may not do this; set {TOKEN} to one that may, or give --namespace",
        404: "it lacks this path; is this the address of Kubeflow Pipelines, release 2?",
        409: "it has one of that name already",
    }
    hint = hints.get(error.status, "it failed; its log has the reason")
    return f"{error.status}: {hint}{_message(error.body)}"


def _message(body: Any) -> str:
    """Returns the message of a host's error in parentheses, on one line; empty if it has none."""
    try:
        content = json.loads(body)
        text = str(content.get("message") or content.get("error_message") or "")
    except (TypeError, ValueError, AttributeError):
        return ""
    line = " ".join(text.split())
    return f" (it says: {line[:200]})" if line else ""
