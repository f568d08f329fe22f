"""The data from which the graph is wired: once to compile it, and again inside a container.

A runtime parameter of Kubeflow replaces a whole property of a step, but an operator changes one
field inside a serialized property, such as an epoch count. So each runtime parameter is a config
key. A container whose parameters differ from the compiled values wires the graph again with the
changed config, and takes the properties of its step from that graph.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from pipeline import config
from pipeline.config import Config, ConfigError, did_you_mean, is_remote
from pipeline.data import spans
from pipeline.history.commit import commit

if TYPE_CHECKING:
    from tfx.orchestration.pipeline import Pipeline

# The environment variable that holds the blueprint in a container. Kubeflow's cache key does not
# cover the environment, so a change to one step's config leaves the other steps cached.
VARIABLE = "RETRAIN_BLUEPRINT"
# The config key of the span, which is a number or `latest`.
SPAN = "data.span"
_SCHEMAS = "/tmp/retrain"
_CHANGEABLE = (
    "data.root",
    SPAN,
    "data.window",
    "trainer.epochs",
    "trainer.learning_rate",
    "push.model_store",
)
_BOUNDS = "evaluation.thresholds."


@dataclass(frozen=True)
class Blueprint:
    """The data that `create_pipeline` needs, with paths as the containers see them."""

    config: Config
    span: spans.Span  # the layout only; `graph` takes the number and the paths from the config
    labels: tuple[str, ...]  # the class names; a name's index is its class id
    commit: str  # the git commit of the compiling code, because a container has no checkout

    def parameters(self) -> dict[str, Any]:
        """Returns config key -> value, for each key that an operator can change for a run."""
        return {
            key: value
            for key, value in _leaves(self.config.model_dump(mode="json"))
            if (key in _CHANGEABLE and value is not None)
            or (key.startswith(_BOUNDS) and type(value) in (int, float))
        }

    def changed(self, values: Mapping[str, Any]) -> Blueprint:
        """Returns a copy with a changed config; `values` is dotted config key -> new value.

        Raises:
            ConfigError: the config does not allow a value.
        """
        settings = self.config.model_dump(mode="json")
        for key, value in values.items():
            *parents, last = key.split(".")
            section = settings
            for parent in parents:
                section = section[parent]
            section[last] = value
        changed = config.validate(settings, "runtime parameters", values)
        return dataclasses.replace(self, config=changed)

    def graph(self) -> Pipeline:
        """Returns the TFX pipeline of the blueprint, without writing a file.

        Raises:
            ConfigError: see `build.create_pipeline`.
        """
        # Heavy, and needed only to compile and in a container whose parameters were changed.
        from pipeline.graph.build import create_pipeline

        root, number = self.config.data.root, self.config.data.span
        span = dataclasses.replace(
            self.span,
            base=root,
            path=f"{root}/span-{number}" if self.span.numbered else root,
            number=0 if number == "latest" else number,
        )
        return create_pipeline(self.config, span, self.labels, self.schema_file(), self.commit)

    def schema_file(self, *, write: bool = False) -> str:
        """Returns the path of the curated schema in a container; `write` also writes the file."""
        from pipeline.graph import schema

        curated = schema.curated(self.labels, self.config.evaluation.slices)
        return (schema.write if write else schema.location)(curated, _SCHEMAS)

    def to_json(self) -> str:
        """Returns the blueprint as JSON; equal blueprints give equal texts.

        The text holds the labels only once: Linux limits an environment variable to 128 KiB.
        """
        return json.dumps(
            {
                "config": self.config.model_dump(mode="json", exclude={"data": {"labels"}}),
                "span": dataclasses.asdict(self.span),
                "labels": list(self.labels),
                "commit": self.commit,
            },
            sort_keys=True,
        )

    @classmethod
    def from_json(cls, text: str) -> Blueprint:
        """Reads a blueprint from the JSON that `to_json` returned."""
        parts = json.loads(text)
        parts["config"]["data"]["labels"] = parts["labels"]
        parts["span"]["splits"] = tuple(parts["span"]["splits"])
        settings, span = config.validate(parts["config"], VARIABLE), spans.Span(**parts["span"])
        return cls(settings, span, tuple(parts["labels"]), parts["commit"])


def blueprint(settings: Config) -> Blueprint:
    """Makes the blueprint of a config, with the labels and the data layout of this machine.

    Raises:
        ConfigError: the labels or the data layout cannot be found on this machine, or the config
            names a path that the cluster's containers do not see.
    """
    if not isinstance(settings.data.labels, tuple) and is_remote(
        settings.data.labels or settings.data.root
    ):
        raise ConfigError(
            "data.labels: found a remote file; allowed for compiling, which uses no network: the"
            " list of names, or a local file"
        )
    labels = config.read_labels(settings)
    span = _layout(settings)
    cluster = settings.kubeflow
    root = cluster.data_root or settings.data.root
    output = (cluster.output or settings.output).replace("{name}", settings.name)
    _check_paths(settings, (root, output))
    store = settings.push.model_store or f"{output}/models/{settings.name}"
    inside = settings.model_copy(
        update={
            "data": settings.data.model_copy(update={"root": root, "labels": labels}),
            "push": settings.push.model_copy(update={"model_store": store}),
            "output": output,
            # The cluster's settings have no effect inside a container.
            "kubeflow": type(cluster)(),
        }
    )
    span = dataclasses.replace(span, base=root, path=root, number=0)
    return Blueprint(inside, span, labels, commit())


def chosen(plan: Blueprint, texts: Sequence[str]) -> dict[str, Any]:
    """Parses runtime parameters, texts of the form `section.key=value` with the value in YAML.

    Returns:
        Parameter name -> value, in the type that the compiled pipeline declares.

    Raises:
        ConfigError: a key is no runtime parameter of `plan`, or the config forbids its value.
    """
    compiled = plan.parameters()
    values = {}
    for text in texts:
        key, _, value = text.partition("=")
        if key not in compiled:
            raise ConfigError(
                f"--parameter: found {key}; allowed: {', '.join(compiled)}"
                f"{did_you_mean(key, compiled)}"
            )
        values[key] = config.parse(value, f"--parameter {key}")
    plan.changed(values)
    return {
        name_of(key): str(value) if is_text(key, compiled[key]) else value
        for key, value in values.items()
    }


def name_of(key: str) -> str:
    """Returns the name of the runtime parameter that sets a config key."""
    return key.replace(".", "_")


def is_text(key: str, value: object) -> bool:
    """Returns whether a runtime parameter is a string; a span is, because it can be `latest`."""
    return key == SPAN or isinstance(value, str)


def _layout(settings: Config) -> spans.Span:
    """Returns the layout of `data.root` or, if this machine lacks it, the layout in the config."""
    root = settings.data.root
    if not is_remote(root) and Path(root).exists():
        return spans.find(settings)
    return spans.unlisted(settings)


def _check_paths(settings: Config, folders: Sequence[str]) -> None:
    """Refuses a path of the config that the cluster's containers do not see.

    Without `kubeflow.output` and `kubeflow.data_root` they see this machine's paths (a dry run).
    """
    cluster, backbone = settings.kubeflow, settings.backbone
    if cluster.data_root is None and cluster.output is None:
        return
    steps = [cluster.every_step, *(cluster.steps or {}).values()]
    volumes = [volume.path for step in steps if step for volume in step.volumes or ()]
    local = [folder for folder in (*volumes, *folders) if not is_remote(folder)]
    seen = tuple(dict.fromkeys(os.path.normpath(folder) for folder in local))
    for key, path in {
        "push.model_store": settings.push.model_store,
        "backbone.path": backbone.path,
        "backbone.weights": backbone.weights if "/" in backbone.weights else None,
    }.items():
        if path is None or is_remote(path):
            continue
        if not any(PurePath(os.path.normpath(path)).is_relative_to(folder) for folder in seen):
            below = f", or a path below {' or '.join(seen)}" if seen else ""
            raise ConfigError(
                f"{key}: found {path}, which the cluster's containers do not see; allowed with"
                f" kubeflow.output or kubeflow.data_root: gs://…{below}"
            )


def _leaves(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
