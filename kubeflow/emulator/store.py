"""A folder in place of the cluster's object store, metadata store and cache."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubeflow.entrypoint import mounted

Json = dict[str, Any]


class Store:
    """Artifacts with their files, and the outputs of cached executions."""

    def __init__(self, folder: Path) -> None:
        """Opens the store in a folder: files in `store/`, the rest in `metadata.json`."""
        self._objects = folder / "store"
        self._file = folder / "metadata.json"
        self._lock = threading.Lock()
        self._content: Json = {"artifacts": {}, "cache": {}}
        if self._file.exists():
            self._content = json.loads(self._file.read_text("utf-8"))

    def upload(self, uri: str, root: Path) -> None:
        """Copies a URI's files from a container's root to the store, if the URI is mounted.

        Source: objectstore/object_store.go: UploadBlob and DownloadBlob.
        """
        if path := mounted(uri):
            _copy(root / path, self._objects / path)

    def download(self, uri: str, root: Path) -> None:
        """Copies a URI's files from the store to a container's root, if the URI is mounted."""
        if path := mounted(uri):
            _copy(self._objects / path, root / path)

    def record(self, artifact: Json) -> str:
        """Stores an artifact and returns its new id; metadata/client.go: RecordArtifact.

        Raises:
            ValueError: the artifact's metadata has a null, which ML Metadata cannot hold.
        """
        stored = {"uri": artifact["uri"], "metadata": _stored(artifact.get("metadata", {}))}
        with self._lock:
            name = str(len(self._content["artifacts"]) + 1)
            self._content["artifacts"][name] = stored
            self._save()
        return name

    def artifact(self, name: str) -> Json:
        """Returns the artifact of an id, as Kubeflow's driver sends it to a container.

        The type is empty, because the driver does not read the schema back;
        metadata/client.go: ToRuntimeArtifact.
        """
        stored = self._content["artifacts"][name]
        return {"name": name, **stored, "type": {"instanceSchema": ""}}

    def cached(self, fingerprint: str) -> Json | None:
        """Returns the outputs of an execution by its fingerprint; None if none were kept."""
        found: Json | None = self._content["cache"].get(fingerprint)
        return found

    def keep(self, fingerprint: str, outputs: Json) -> None:
        """Stores an execution's outputs under its fingerprint."""
        with self._lock:
            self._content["cache"][fingerprint] = outputs
            self._save()

    def _save(self) -> None:
        # A process that is killed while it writes leaves the old file whole.
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps(self._content, indent=1, sort_keys=True), "utf-8")
        partial.replace(self._file)


def _copy(source: Path, target: Path) -> None:
    """Copies a file, or the files of a folder; an object store has no empty folders."""
    for file in [source] if source.is_file() else sorted(source.rglob("*")):
        if file.is_file():
            destination = target / file.relative_to(source)
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, destination)


def _stored(metadata: Mapping[str, Any]) -> Json:
    """Converts metadata to the form in which ML Metadata returns it; metadata/converter.go."""
    stored: Json = {}
    for key, value in metadata.items():
        if value is None:
            raise ValueError(f"metadata {key} is null, and ML Metadata cannot hold null")
        if isinstance(value, (bool, int)):
            stored[key] = float(value)
        elif isinstance(value, list):
            stored[key] = {"list": value}
        elif isinstance(value, dict):
            stored[key] = {"struct": value}
        else:
            stored[key] = value
    return stored


def fingerprint(inputs: Json, outputs: Json, types: Mapping[str, str], container: Json) -> str:
    """Returns the cache key of an execution; cacheutils/cache.go: GenerateCacheKey.

    The key covers the ids of input artifacts, the values of input parameters, the declarations of
    outputs, the image, the command and its arguments. It covers neither the environment nor the
    resources. `types` is output parameter -> type.
    """
    key = {
        "inputArtifactNames": {
            name: [artifact["name"] for artifact in listed["artifacts"]]
            for name, listed in inputs["artifacts"].items()
        },
        "inputParameterValues": inputs["parameterValues"],
        "outputArtifactsSpec": {
            name: {key: value for key, value in listed["artifacts"][0].items() if key != "uri"}
            for name, listed in outputs["artifacts"].items()
        },
        "outputParametersSpec": dict(types),
        "containerSpec": {
            "image": container["image"],
            "cmdArgs": [*container["command"], *container["args"]],
        },
    }
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
