"""One model: its loaded versions, and the states and labels of versions.

Source: tensorflow/serving, core/availability_preserving_policy.cc (an old version stays until a
new one is available).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial

import tensorflow as tf
from grpc import StatusCode
from tensorflow_serving.apis import get_model_status_pb2, model_pb2

from serving.errors import ServingError, invalid, serving_error
from serving.loading import Servable
from serving.model_config import Model

# TF Serving's --max_num_load_retries and --load_retry_interval_micros.
_MOST_RETRIES = 5
_RETRY_SECONDS = 60.0

_State = get_model_status_pb2.ModelVersionStatus.State
_log = logging.getLogger(__name__)

Load = Callable[[str, int, str], Servable]
"""Loads a version, by the model's name, the version's number and its folder."""


@dataclass(frozen=True)
class Status:
    """A version's state (LOADING, AVAILABLE, UNLOADING or END), and the error of its loading."""

    state: int
    code: StatusCode = StatusCode.OK
    message: str = ""


class ServedModel:
    """A model and its versions; one thread calls `update` while others hold versions."""

    def __init__(self, config: Model, load: Load) -> None:
        """Sets the config; `update` loads the versions."""
        self.config = config
        self._load = load
        self._lock = threading.Lock()
        self._statuses: dict[int, Status] = {}
        self._serving: dict[int, Servable] = {}
        # version -> the number of failed attempts, and the monotonic time of the next attempt
        self._failures: dict[int, tuple[int, float]] = {}
        self._labels: dict[str, int] = {}

    def configure(self, config: Model) -> None:
        """Replaces the config, from the next `update` on, which also retries failed versions."""
        with self._lock:
            self.config = config
            self._failures.clear()

    def hold(self, spec: model_pb2.ModelSpec) -> Servable:
        """Returns the version to which `spec` resolves, held; the caller must release it.

        Raises:
            ServingError: the model has no such version or label.
        """
        choice = spec.WhichOneof("version_choice")
        with self._lock:
            if choice == "version_label":
                if spec.version_label not in self._labels:
                    raise invalid(f"Unrecognized servable version label: {spec.version_label}")
                version = self._labels[spec.version_label]
            else:
                newest = max(self._serving, default=-1)
                version = spec.version.value if choice == "version" else newest
            servable = self._serving.get(version)
            if servable is None or not servable.hold():
                what = f"Specific({spec.name}, {version})" if choice else f"Latest({spec.name})"
                raise ServingError(StatusCode.NOT_FOUND, f"Servable not found for request: {what}")
            return servable

    def statuses(self) -> dict[int, Status]:
        """Returns version -> status for all versions, the newest version first."""
        with self._lock:
            return dict(sorted(self._statuses.items(), reverse=True))

    def update(self, stopped: threading.Event) -> None:
        """Lists the model's folder, loads new versions until `stopped`, and unloads old ones."""
        path = self.config.base_path
        try:
            if not tf.io.gfile.isdir(path):
                return  # a missing folder may appear (again) later: served versions stay loaded
            children = [name.rstrip("/") for name in tf.io.gfile.listdir(path)]
        except (tf.errors.OpError, OSError) as error:
            _log.warning("%s cannot be listed: %s", path, error)
            return
        aspired = self.config.aspired(children)
        for version in self._to_load(aspired):
            if not stopped.is_set():
                self._try(version, f"{path}/{aspired[version]}")
        self._settle(aspired)

    def close(self) -> None:
        """Closes each version once its last request is answered."""
        self._settle(())

    def check(self, labels: Mapping[str, int]) -> None:
        """Checks that the config took effect; restores the old `labels` if a label did not.

        Raises:
            ServingError: no version loads, or a label names a version that is not available.
        """
        with self._lock:
            config = self.config
            for version, status in sorted(self._statuses.items(), reverse=True):
                if status.code is not StatusCode.OK and not self._serving:
                    raise ServingError(
                        status.code,
                        f"{config.name} version {version} does not load: {status.message}",
                    )
            for label, version in config.labels.items():
                if self._labels.get(label) != version:
                    self.config = replace(config, labels=labels)
                    self._move_labels()
                    raise ServingError(
                        StatusCode.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model"
                        f" {config.name}, which is not currently available for inference",
                    )

    def _to_load(self, aspired: Collection[int]) -> list[int]:
        """Returns the versions to load: aspired, not loaded, and not waiting for a retry."""
        now = time.monotonic()
        with self._lock:
            # Failures of a version that left the folder do not count if it comes back.
            self._failures = {one: self._failures[one] for one in self._failures.keys() & aspired}
            waiting = {
                version
                for version, (attempts, retry_at) in self._failures.items()
                if attempts > _MOST_RETRIES or now < retry_at
            }
            return [each for each in aspired if each not in self._serving and each not in waiting]

    def _try(self, version: int, path: str) -> None:
        name = self.config.name
        with self._lock:
            self._statuses[version] = Status(_State.LOADING)
        try:
            servable = self._load(name, version, path)
        except Exception as error:
            reason = serving_error(error)
            with self._lock:
                attempts, _ = self._failures.get(version, (0, 0))
                self._failures[version] = attempts + 1, time.monotonic() + _RETRY_SECONDS
                self._statuses[version] = Status(_State.END, reason.code, reason.message)
            _log.error("%s version %d does not load: %s", name, version, reason.message)
            return
        with self._lock:
            self._failures.pop(version, None)
            self._serving[version] = servable
            self._statuses[version] = Status(_State.AVAILABLE)

    def _settle(self, aspired: Collection[int]) -> None:
        """Moves the labels and unloads the versions that are not aspired.

        They stay until an aspired version is loaded, so that a broken version replaces nothing. If
        no version is aspired, because the folder holds none, all are unloaded.
        """
        with self._lock:
            # Under one lock, so that no label names a version that is gone.
            self._move_labels()
            old = self._serving.keys() - set(aspired)
            replaced = not aspired or len(old) < len(self._serving)
            gone = {version: self._serving.pop(version) for version in old if replaced}
            self._statuses.update(dict.fromkeys(gone, Status(_State.UNLOADING)))
        for version, servable in gone.items():
            servable.retire(partial(self._closed, version))

    def _move_labels(self) -> None:
        """Assigns labels to loaded versions; until its new version loads, a label keeps the old."""
        self._labels = {
            label: version if version in self._serving else self._labels[label]
            for label, version in self.config.labels.items()
            if version in self._serving or label in self._labels
        }

    def _closed(self, version: int) -> None:
        with self._lock:
            if version not in self._serving:
                self._statuses[version] = Status(_State.END)
        _log.info("%s version %d is unloaded", self.config.name, version)
