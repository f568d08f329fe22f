"""A Kubeflow Pipelines host: pipelines uploaded, runs started, schedules kept.

Everything goes through Kubeflow's own client. A token comes from the environment and is never
shown.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kfp_server_api
import urllib3
from kfp.client import Client

ENDPOINT, TOKEN = "KF_PIPELINES_ENDPOINT", "KF_PIPELINES_TOKEN"
_FIELD = re.compile(r"[0-9A-Za-z*?/,\-]+")
_PAGE = 100


class HostError(RuntimeError):
    """The host cannot be reached or refuses; the message is one line and says what to do."""


class CronError(ValueError):
    """Not a cron expression."""


@dataclass(frozen=True)
class Version:
    """A version of an uploaded pipeline, by its ids."""

    pipeline: str
    version: str


@dataclass(frozen=True)
class Schedule:
    """A recurring run.

    Attributes:
        id: Kubeflow's id.
        name: its name.
        cron: six fields, seconds first.
        enabled: whether it starts runs.
        max_concurrency: how many of its runs there may be at once.
    """

    id: str
    name: str
    cron: str
    enabled: bool
    max_concurrency: int


def six_fields(cron: str) -> str:
    """Returns a cron expression as Kubeflow takes it: six fields, seconds first.

    Raises:
        CronError: it has neither five nor six fields, or a field has other characters than cron's.
    """
    fields = cron.split()
    if len(fields) not in (5, 6) or not all(_FIELD.fullmatch(field) for field in fields):
        raise CronError(
            f"found {cron!r}; allowed: five fields (minute, hour, day, month, weekday) or six with"
            " seconds first, as in '0 3 * * *'"
        )
    return " ".join(fields if len(fields) == 6 else ["0", *fields])


class Host:
    """A connection to a host."""

    def __init__(self, address: str | None, namespace: str | None = None) -> None:
        """Connects.

        Args:
            address: URL of the host; by default, what KF_PIPELINES_ENDPOINT says.
            namespace: the profile's namespace on a host with several users.

        Raises:
            HostError: there is no address, or the host does not answer.
        """
        self._address = address or os.environ.get(ENDPOINT, "")
        if not self._address:
            raise HostError(f"found no host; give --host URL or set {ENDPOINT}")
        self._namespace = namespace
        token = os.environ.get(TOKEN) or None
        with self._told():
            # The client asks for its health too, but tries for half a minute where it is refused.
            settings = kfp_server_api.Configuration(host=self._address.rstrip("/"))
            if token:
                settings.api_key["authorization"] = token
                settings.api_key_prefix["authorization"] = "Bearer"
            with kfp_server_api.ApiClient(settings) as api:
                health = kfp_server_api.HealthzServiceApi(api).get_healthz(_preload_content=False)
            if not _is_json(health.data):
                raise HostError(
                    f"{self._address}: it answers with a web page; is this the address of Kubeflow"
                    f" Pipelines, or a login page before it that {TOKEN} would pass?"
                )
            self._client = Client(host=self._address, existing_token=token)

    def upload(self, name: str, text: str) -> Version:
        """Uploads a compiled pipeline as a version of the pipeline of that name.

        A text that was uploaded before is not uploaded again; older versions stay.
        """
        label = f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        with self._told():
            pipeline = self._pipeline(name)
            if pipeline is None:
                body = kfp_server_api.V2beta1Pipeline(display_name=name, namespace=self._namespace)
                pipeline = self._client.pipelines.create_pipeline(body=body).pipeline_id
            for known in self._versions(pipeline):
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
        """Starts a run and returns its id."""
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
        """Returns the ids of an experiment's runs of a name, however they ended."""
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
        """Has a version run again and again; replaces the schedules of the same name.

        Missed times are not caught up on. Kubeflow has no way to change a schedule, so the new one
        is there before the old ones go: whenever this is stopped, there is at least one. Where the
        old ones are paused, the new one is.

        Returns:
            The new schedule.
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
        """Lists an experiment's schedules."""
        found: list[kfp_server_api.V2beta1RecurringRun] = []
        token = ""
        with self._told():
            experiment_id = self._experiment(experiment)
            while True:
                page = self._client.list_recurring_runs(
                    experiment_id=experiment_id, page_size=_PAGE, page_token=token
                )
                found += page.recurring_runs or []
                token = page.next_page_token
                if not token:
                    break
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

    def pause(self, schedule: Schedule) -> None:
        """Has a schedule start no more runs."""
        with self._told():
            self._client.disable_recurring_run(schedule.id)

    def resume(self, schedule: Schedule) -> None:
        """Has a schedule start runs again."""
        with self._told():
            self._client.enable_recurring_run(schedule.id)

    def delete(self, schedule: Schedule) -> None:
        """Deletes a schedule; its runs stay."""
        with self._told():
            self._client.delete_recurring_run(schedule.id)

    def _pipeline(self, name: str) -> str | None:
        # The client's own look-up by name knows no namespace, and names are unique within one only.
        found = self._client.list_pipelines(filter=_named(name), namespace=self._namespace)
        return str(found.pipelines[0].pipeline_id) if found.pipelines else None

    def _experiment(self, name: str) -> str:
        found = self._client.create_experiment(name, namespace=self._namespace)
        return str(found.experiment_id)

    def _versions(self, pipeline: str) -> Iterator[kfp_server_api.V2beta1PipelineVersion]:
        token = ""
        while True:
            page = self._client.list_pipeline_versions(
                pipeline_id=pipeline, page_size=_PAGE, page_token=token
            )
            yield from page.pipeline_versions or []
            token = page.next_page_token
            if not token:
                return

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turns the client's errors into one line each, and keeps what it prints to itself."""
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
                    f"{self._address}: cannot be reached ({text}); is the address right and the"
                    " host or its port-forward up?"
                ) from error


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def _named(name: str) -> str:
    predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
    return json.dumps({"predicates": [predicate]})


def _explained(error: kfp_server_api.ApiException) -> str:
    hints = {
        401: f"it asks for a token; set {TOKEN} to one that is valid",
        403: f"the token may not do this; set {TOKEN} to one that may, or give --namespace",
        404: "it has no such thing; is this the address of Kubeflow Pipelines, release 2?",
        409: "it has one of that name already",
    }
    hint = hints.get(error.status, "it failed; its log says more")
    return f"{error.status}: {hint}{_message(error.body)}"


def _message(body: Any) -> str:
    """Returns what the host says, in one line; nothing if it is no message of Kubeflow's."""
    try:
        content = json.loads(body)
        text = str(content.get("message") or content.get("error_message") or "")
    except (TypeError, ValueError, AttributeError):
        return ""
    line = " ".join(text.split())
    return f" (it says: {line[:200]})" if line else ""
