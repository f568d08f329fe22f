"""What stands in for the cluster's object store, metadata store and cache: a folder.

Where a behaviour is copied, the file of kubeflow/pipelines (release 2.5.0) that has it is named.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Json = dict[str, Any]

# component/launcher_v2.go: LocalPathForURI.
_SCHEMES = {"gs": "gcs", "s3": "s3", "minio": "minio"}


class UnknownSchemeError(ValueError):
    """The launcher does not know where an artifact of this URI lies."""


def mounted(uri: str) -> str:
    """Returns the path, below a container's root, to which a URI is copied.

    Raises:
        UnknownSchemeError: it is not of an object store.
    """
    scheme, separator, key = uri.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise UnknownSchemeError(f"{uri}: unsupported storage scheme")
    return f"{_SCHEMES[scheme]}/{key}"


class ObjectStore:
    """Objects under keys; as in any object store, there are no empty folders."""

    def __init__(self, folder: Path) -> None:
        """Opens the store; `folder` is made with the first upload."""
        self._folder = folder

    def path(self, uri: str) -> Path:
        """Returns where the objects of a URI lie."""
        return self._folder / mounted(uri)

    def upload(self, uri: str, local: Path) -> None:
        """Copies a file or a folder's files; objectstore/object_store.go: UploadBlob."""
        self._copy(local, self.path(uri))

    def download(self, uri: str, local: Path) -> None:
        """Copies all objects below a URI; objectstore/object_store.go: DownloadBlob."""
        self._copy(self.path(uri), local)

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        files = [source] if source.is_file() else sorted(source.rglob("*"))
        for file in files:
            if file.is_file():
                destination = target / file.relative_to(source) if file != source else target
                destination.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, destination)


class Metadata:
    """Artifacts with their ids, and the outputs of cached executions; kept in one JSON file."""

    def __init__(self, file: Path) -> None:
        """Reads the file, if it is there."""
        self._file = file
        self._lock = threading.Lock()
        self._content: Json = {"artifacts": {}, "cache": {}}
        if file.exists():
            self._content = json.loads(file.read_text("utf-8"))

    def record(self, artifact: Json) -> str:
        """Stores an artifact and returns its id; metadata/client.go: RecordArtifact.

        Raises:
            ValueError: a value of its metadata is one that ML Metadata cannot hold.
        """
        stored = {"uri": artifact["uri"], "metadata": _stored(artifact.get("metadata", {}))}
        with self._lock:
            name = str(len(self._content["artifacts"]) + 1)
            self._content["artifacts"][name] = stored
            self._save()
        return name

    def find(self, artifact: Json) -> str | None:
        """Returns the id of an equal artifact; metadata/client.go: FindMatchedArtifact."""
        wanted = {"uri": artifact["uri"], "metadata": _stored(artifact.get("metadata", {}))}
        known: Mapping[str, Json] = self._content["artifacts"]
        return next((name for name, stored in known.items() if stored == wanted), None)

    def artifact(self, name: str) -> Json:
        """Returns an artifact as the driver sends it to a container.

        The type is there and empty, as the artifact's schema is not among what the driver reads
        back; metadata/client.go: ToRuntimeArtifact.
        """
        return {
            "name": name,
            **self._content["artifacts"][name],
            "type": {"instanceSchema": ""},
        }

    def cached(self, fingerprint: str) -> Json | None:
        """Returns the outputs of an earlier execution with the same fingerprint."""
        found: Json | None = self._content["cache"].get(fingerprint)
        return found

    def keep(self, fingerprint: str, outputs: Json) -> None:
        """Remembers an execution's outputs under its fingerprint."""
        with self._lock:
            self._content["cache"][fingerprint] = outputs
            self._save()

    def _save(self) -> None:
        # Whoever is killed while writing leaves the file as it was.
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps(self._content, indent=1, sort_keys=True), "utf-8")
        partial.replace(self._file)


def _stored(metadata: Mapping[str, Any]) -> Json:
    """Turns values into what comes back of them; metadata/converter.go."""
    stored: Json = {}
    for key, value in metadata.items():
        if value is None:
            raise ValueError(f"metadata {key} is null, which ML Metadata does not hold")
        if isinstance(value, (bool, int)):
            stored[key] = float(value)
        elif isinstance(value, list):
            stored[key] = {"list": value}
        elif isinstance(value, dict):
            stored[key] = {"struct": value}
        else:
            stored[key] = value
    return stored


def fingerprint(
    inputs: Json, outputs: Json, parameter_types: Mapping[str, str], container: Json
) -> str:
    """Identifies an execution; cacheutils/cache.go: GenerateCacheKey.

    The key holds the ids of input artifacts, the values of input parameters, what the outputs are
    declared to be, the image, the command and its arguments; not the environment, not resources.
    """
    command: Sequence[str] = [*container.get("command", []), *container.get("args", [])]
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
        "outputParametersSpec": dict(parameter_types),
        "containerSpec": {"image": container["image"], "cmdArgs": command},
    }
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
