"""The models of a server: their folders are watched, and requests find their versions.

Source: tensorflow/serving, model_servers/get_model_status_impl.cc.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Sequence

from grpc import StatusCode
from tensorflow_serving.apis import model_pb2

from serving.errors import ServingError, invalid
from serving.loading import Servable
from serving.model_config import Model
from serving.served_model import Load, ServedModel, Status

POLL_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Models:
    """All models of a server; a thread of their own keeps them up to date."""

    def __init__(self, models: Sequence[Model], load: Load) -> None:
        """Loads nothing yet."""
        self._load = load
        self._polling = threading.Lock()
        self._models = {model.name: ServedModel(model, load) for model in models}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="models", daemon=True)

    def start(self) -> None:
        """Tries every version that is there, then begins to watch."""
        self.poll()
        for name, model in self._models.items():
            if not model.statuses():
                path = model.config.base_path
                _log.warning("%s: no version in %s yet; waiting for one", name, path)
        self._thread.start()

    def stop(self) -> None:
        """Ends the watching and closes every version once its last request has its answer."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        for model in self._models.values():
            model.close()

    def names(self) -> list[str]:
        """Lists the models, whether or not a version is served."""
        return sorted(self._models)

    def poll(self) -> None:
        """Looks at every model's folder once and updates the model."""
        with self._polling:
            for model in self._models.values():
                if self._stopped.is_set():
                    return
                model.update(self._stopped)

    def configure(self, models: Sequence[Model], *, strict: bool) -> None:
        """Serves other models from now on.

        Args:
            models: all models to serve; every other one is closed.
            strict: True raises when a model has no version to serve, or a label names a version
                that is not available, as TF Serving's reload does. False lets such labels wait.

        Raises:
            ServingError: see `strict`; the labels then stay as they were.
        """
        with self._polling:
            before = self._models
            labels = {name: model.config.labels for name, model in before.items()}
            # A new mapping, as other threads read the old one.
            served = {
                model.name: before.get(model.name) or ServedModel(model, self._load)
                for model in models
            }
            self._models = served
            for model in models:
                served[model.name].configure(model)
            for name in before.keys() - served.keys():
                before[name].close()
        self.poll()
        if strict:
            for name, configured in served.items():
                configured.check(labels.get(name, {}))

    @contextlib.contextmanager
    def held(self, spec: model_pb2.ModelSpec) -> Iterator[Servable]:
        """Finds the version that a request means and keeps it loaded.

        A caller that needs it beyond the `with` block holds it once more.

        Raises:
            ServingError: there is no such model, version or label.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        servable = self._find(spec).hold(spec)
        try:
            yield servable
        finally:
            servable.release()

    def statuses(self, spec: model_pb2.ModelSpec) -> dict[int, Status]:
        """Returns the statuses of a model's versions, or of the one that the request names.

        Raises:
            ServingError: there is none.
        """
        found, what = self._find(spec).statuses(), "any versions"
        if spec.HasField("version"):
            version, what = spec.version.value, f"version {spec.version.value}"
            found = {version: found[version]} if version in found else {}
        if not found:
            raise ServingError(StatusCode.NOT_FOUND, f"Could not find {what} of model {spec.name}")
        return found

    def _find(self, spec: model_pb2.ModelSpec) -> ServedModel:
        """Returns a model; an unknown one has no versions."""
        return self._models.get(spec.name) or ServedModel(Model(spec.name, ""), self._load)

    def _watch(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            try:
                self.poll()
            except Exception:
                _log.exception("the models could not be polled; the next poll tries again")
