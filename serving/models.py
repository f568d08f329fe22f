"""The models of a server: watches their folders, and finds the version for a request.

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
    """All models of a server; a thread polls their folders for new and removed versions."""

    def __init__(self, models: Sequence[Model], load: Load) -> None:
        """Configures the models; `start` loads them."""
        self._load = load
        self._polling = threading.Lock()
        self._models = {model.name: ServedModel(model, load) for model in models}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="models", daemon=True)

    def start(self) -> None:
        """Tries to load every version to serve, then starts the polling thread."""
        self.poll()
        for name, model in self._models.items():
            if not model.statuses():
                path = model.config.base_path
                _log.warning("%s: no version in %s yet; waiting for one", name, path)
        self._thread.start()

    def stop(self) -> None:
        """Ends the polling and closes each version once its last request is answered."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        for model in self._models.values():
            model.close()

    def names(self) -> list[str]:
        """Returns the names of all models, including models without a served version."""
        return sorted(self._models)

    def poll(self) -> None:
        """Lists every model's folder once, loads new versions and unloads old ones."""
        with self._polling:
            for model in self._models.values():
                if self._stopped.is_set():
                    return
                model.update(self._stopped)

    def configure(self, models: Sequence[Model], *, strict: bool) -> None:
        """Replaces the models to serve, and polls.

        Args:
            models: all models to serve; the other models are closed.
            strict: True raises if no version of a model loads, or if a label names a version that
                is not available, as TF Serving's reload does. False lets such labels wait.

        Raises:
            ServingError: see `strict`; a model whose label failed gets its previous labels back.
        """
        with self._polling:
            before = self._models
            labels = {name: model.config.labels for name, model in before.items()}
            # A new mapping, because other threads read the old one.
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
        """Finds the version to which `spec` resolves, and keeps it loaded within the block.

        A caller that needs the servable after the block must call its `hold`.

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
        """Returns version -> status, for all versions of a model or the version in `spec`.

        Raises:
            ServingError: there is no such model or version.
        """
        found, what = self._find(spec).statuses(), "any versions"
        if spec.HasField("version"):
            version, what = spec.version.value, f"version {spec.version.value}"
            found = {version: found[version]} if version in found else {}
        if not found:
            raise ServingError(StatusCode.NOT_FOUND, f"Could not find {what} of model {spec.name}")
        return found

    def _find(self, spec: model_pb2.ModelSpec) -> ServedModel:
        """Returns the model that `spec` names; a model without versions if none has the name."""
        return self._models.get(spec.name) or ServedModel(Model(spec.name, ""), self._load)

    def _watch(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            try:
                self.poll()
            except Exception:
                _log.exception("the models could not be polled; the next poll tries again")
