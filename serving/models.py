"""Which versions are served: folders are watched, new versions loaded, old ones let go.

Source: tensorflow/serving, core/availability_preserving_policy.cc (the old version stays until a
new one is available) and model_servers/get_model_status_impl.cc.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import tensorflow as tf
from tensorflow_serving.apis import get_model_status_pb2, model_pb2

from serving import loading
from serving.errors import Code, RefusedError, invalid, refused
from serving.loading import Servable
from serving.metrics import Metrics
from serving.model_config import Model

POLL_SECONDS = 1.0
# TF Serving's --max_num_load_retries and --load_retry_interval_micros.
_MOST_RETRIES = 5
_RETRY_SECONDS = 60.0

_State = get_model_status_pb2.ModelVersionStatus.State
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Status:
    """How a version fares: START, LOADING, AVAILABLE, UNLOADING or END, and what went wrong."""

    state: int
    code: Code = Code.OK
    message: str = ""


@dataclass
class _Failure:
    attempts: int
    retry_at: float


@dataclass
class _Entry:
    model: Model
    statuses: dict[int, Status] = field(default_factory=dict)
    serving: dict[int, Servable] = field(default_factory=dict)
    failures: dict[int, _Failure] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)


def to_load(
    aspired: Collection[int], serving: Collection[int], failed: Collection[int]
) -> list[int]:
    """Chooses the versions to load: those wanted that are neither there nor known to fail."""
    return [version for version in aspired if version not in serving and version not in failed]


def to_unload(aspired: Collection[int], serving: Collection[int]) -> list[int]:
    """Chooses the versions to let go.

    An old version stays until a wanted one is served, so a broken version takes nothing away. Where
    no version is wanted, because the folder holds none, none stays.
    """
    if aspired and not set(aspired) & set(serving):
        return []
    return [version for version in serving if version not in aspired]


class Models:
    """The models of a server, kept up to date by a thread of its own."""

    def __init__(self, models: Sequence[Model], metrics: Metrics, request_seconds: float) -> None:
        """Loads nothing yet.

        Args:
            models: what to serve.
            metrics: counts loads and warm-ups.
            request_seconds: bound for each warm-up request.
        """
        self._metrics = metrics
        self._request_seconds = request_seconds
        self._lock = threading.Lock()
        self._polling = threading.Lock()
        self._entries = {model.name: _Entry(model) for model in models}
        self._stopped = threading.Event()
        self._retiring: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._watch, name="models", daemon=True)

    def start(self) -> None:
        """Begins to watch; returns once each version that is there was tried."""
        self.poll()
        with self._lock:
            waiting = [entry.model for entry in self._entries.values() if not entry.statuses]
        for model in waiting:
            _log.warning("%s: no version in %s yet; waiting for one", model.name, model.base_path)
        self._thread.start()

    def stop(self) -> None:
        """Ends the watching and closes every version once its last request was answered."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            for entry in self._entries.values():
                self._unload(entry, list(entry.serving))
        # A thread inside TensorFlow when the interpreter ends would abort the process.
        for thread in self._retiring:
            thread.join(self._request_seconds)

    def names(self) -> list[str]:
        """Lists the models, served or not."""
        with self._lock:
            return sorted(self._entries)

    def poll(self) -> None:
        """Looks at every model's folder once and does what follows from it."""
        with self._polling:
            with self._lock:
                entries = list(self._entries.values())
            for entry in entries:
                if self._stopped.is_set():
                    return
                self._update(entry)

    def configure(self, models: Sequence[Model], *, strict: bool) -> None:
        """Serves other models from now on.

        Args:
            models: all that are to be served; others are let go.
            strict: raise when a model has no version to serve, or a label names a version that is
                not available, as TF Serving's reload does; otherwise such labels wait.

        Raises:
            RefusedError: see `strict`. Labels then stay as they were.
        """
        with self._polling, self._lock:
            before = {name: entry.model.labels for name, entry in self._entries.items()}
            gone = self._entries.keys() - {model.name for model in models}
            for name in gone:
                self._unload(self._entries[name], list(self._entries[name].serving))
                del self._entries[name]
            for model in models:
                if model.name in self._entries:
                    self._entries[model.name].model = model
                    self._entries[model.name].failures.clear()
                else:
                    self._entries[model.name] = _Entry(model)
        self.poll()
        if strict:
            self._check_configured(models, before)

    @contextlib.contextmanager
    def held(self, spec: model_pb2.ModelSpec) -> Iterator[Servable]:
        """Finds the version that a request means and keeps it loaded.

        Whoever needs it beyond the `with` block holds it once more.

        Raises:
            RefusedError: there is no such model, version or label.
        """
        servable = self._find(spec)
        try:
            yield servable
        finally:
            servable.release()

    def statuses(self, spec: model_pb2.ModelSpec) -> dict[int, Status]:
        """Returns the statuses of a model's versions, or of the one that is named.

        Raises:
            RefusedError: there is none.
        """
        with self._lock:
            entry = self._entries.get(spec.name)
            found = dict(sorted(entry.statuses.items(), reverse=True)) if entry else {}
        if spec.HasField("version"):
            version = spec.version.value
            if version not in found:
                raise RefusedError(
                    Code.NOT_FOUND, f"Could not find version {version} of model {spec.name}"
                )
            return {version: found[version]}
        if not found:
            raise RefusedError(Code.NOT_FOUND, f"Could not find any versions of model {spec.name}")
        return found

    def _find(self, spec: model_pb2.ModelSpec) -> Servable:
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        choice = spec.WhichOneof("version_choice")
        with self._lock:
            entry = self._entries.get(spec.name)
            if choice == "version_label":
                if entry is None or spec.version_label not in entry.labels:
                    raise invalid(f"Unrecognized servable version label: {spec.version_label}")
                version = entry.labels[spec.version_label]
            elif choice == "version":
                version = spec.version.value
            else:
                version = max(entry.serving, default=-1) if entry else -1
            servable = entry.serving.get(version) if entry else None
            if servable is None or not servable.hold():
                wanted = f"Specific({spec.name}, {version})" if choice else f"Latest({spec.name})"
                raise RefusedError(Code.NOT_FOUND, f"Servable not found for request: {wanted}")
            return servable

    def _watch(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            try:
                self.poll()
            except Exception:
                _log.exception("the models could not be polled; trying again")

    def _update(self, entry: _Entry) -> None:
        model = entry.model
        try:
            if not tf.io.gfile.isdir(model.base_path):
                return  # it may be on its way, or unreachable for a moment: what is served stays
            children = [name.rstrip("/") for name in tf.io.gfile.listdir(model.base_path)]
        except (tf.errors.OpError, OSError) as error:
            _log.warning("%s cannot be listed: %s", model.base_path, error)
            return
        aspired = model.aspired(children)
        now = time.monotonic()
        with self._lock:
            for version in [version for version in entry.failures if version not in aspired]:
                del entry.failures[version]
            failed = [
                version
                for version, failure in entry.failures.items()
                if failure.attempts > _MOST_RETRIES or now < failure.retry_at
            ]
            wanted = to_load(aspired, entry.serving, failed)
        for version in wanted:
            if not self._stopped.is_set():
                self._load(entry, version, f"{model.base_path}/{aspired[version]}")
        with self._lock:
            # Labels move before the version that they named is let go.
            self._move_labels(entry)
            self._unload(entry, to_unload(aspired, entry.serving))

    def _load(self, entry: _Entry, version: int, path: str) -> None:
        name = entry.model.name
        self._set(entry, version, Status(_State.LOADING))
        start = time.perf_counter()
        servable = None
        try:
            servable = Servable(name, version, path)
            self._metrics.loads.labels(path, "success").inc()
            records = loading.warm_up(servable, path, self._metrics, self._request_seconds)
        except Exception as error:
            if servable is None:
                self._metrics.loads.labels(path, "fail").inc()
            else:
                servable.retire(lambda: None)
            reason = refused(error)
            attempts = entry.failures[version].attempts + 1 if version in entry.failures else 1
            entry.failures[version] = _Failure(attempts, time.monotonic() + _RETRY_SECONDS)
            self._set(entry, version, Status(_State.END, reason.code, reason.message))
            _log.error("%s version %d does not load: %s", name, version, reason.message)
            return
        with self._lock:
            entry.failures.pop(version, None)
            entry.serving[version] = servable
            entry.statuses[version] = Status(_State.AVAILABLE)
        seconds = time.perf_counter() - start
        _log.info(
            "%s version %d is available (%.1f s, %d warm-up requests)",
            name,
            version,
            seconds,
            records,
        )

    def _move_labels(self, entry: _Entry) -> None:
        wanted = entry.model.labels
        entry.labels = {
            label: version if version in entry.serving else entry.labels[label]
            for label, version in wanted.items()
            if version in entry.serving or label in entry.labels
        }

    def _unload(self, entry: _Entry, versions: Sequence[int]) -> None:
        """Lets versions go; the caller has the lock."""
        for version in versions:
            servable = entry.serving.pop(version)
            entry.statuses[version] = Status(_State.UNLOADING)
            # In a thread, as it takes the lock that is held here.
            thread = threading.Thread(
                target=servable.retire,
                args=(lambda version=version: self._closed(entry, version),),
                daemon=True,
            )
            self._retiring = [old for old in self._retiring if old.is_alive()]
            self._retiring.append(thread)
            thread.start()

    def _closed(self, entry: _Entry, version: int) -> None:
        with self._lock:
            if version not in entry.serving:
                entry.statuses[version] = Status(_State.END)
        _log.info("%s version %d is unloaded", entry.model.name, version)

    def _set(self, entry: _Entry, version: int, status: Status) -> None:
        with self._lock:
            entry.statuses[version] = status

    def _check_configured(
        self, models: Sequence[Model], before: Mapping[str, Mapping[str, int]]
    ) -> None:
        with self._lock:
            for model in models:
                entry = self._entries[model.name]
                for version, status in sorted(entry.statuses.items(), reverse=True):
                    if status.code is not Code.OK and not entry.serving:
                        raise RefusedError(
                            status.code,
                            f"{model.name} version {version} does not load: {status.message}",
                        )
                for label, version in model.labels.items():
                    if entry.labels.get(label) != version:
                        entry.model = Model(
                            model.name,
                            model.base_path,
                            model.policy,
                            dict(before.get(model.name, {})),
                        )
                        self._move_labels(entry)
                        raise RefusedError(
                            Code.FAILED_PRECONDITION,
                            f"Request to assign label to version {version} of model"
                            f" {model.name}, which is not currently available for inference",
                        )
