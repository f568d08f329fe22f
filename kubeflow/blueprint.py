"""What builds the graph for a cluster: once to compile it, and again inside each container.

A runtime parameter of Kubeflow is a whole value, but an operator changes what lies inside TFX's
serialized properties: an epoch count, a threshold. So each runtime parameter is a config key.
A container whose parameters differ from the compiled ones wires the graph again with the changed
config, and takes its own step's properties from that graph.
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
# Its value is a number or `latest`.
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
    """The arguments of `create_pipeline`, with paths as the containers see them."""

    config: Config
    span: spans.Span  # `graph` replaces its number and paths by the config's
    labels: tuple[str, ...]  # the class names; a name's index is its class id
    commit: str  # of the code that compiles; a container has no checkout to ask

    def parameters(self) -> dict[str, Any]:
        """Maps each config key that an operator can change for a run to its value."""
        return {
            key: value
            for key, value in _leaves(self.config.model_dump(mode="json"))
            if (key in _CHANGEABLE and value is not None)
            or (key.startswith(_BOUNDS) and type(value) in (int, float))
        }

    def changed(self, values: Mapping[str, Any]) -> Blueprint:
        """Returns the blueprint with other values for some dotted config keys.

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
        """Wires the graph, and writes nothing.

        Raises:
            ConfigError: see `build.create_pipeline`.
        """
        # Heavy; a container with the compiled parameters does not need it.
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
        """Returns the path at which containers read the curated schema, and may write it there."""
        from pipeline.graph import schema

        curated = schema.curated(self.labels, self.config.evaluation.slices)
        return (schema.write if write else schema.location)(curated, _SCHEMAS)

    def to_json(self) -> str:
        """Serializes the blueprint; equal blueprints give equal texts.

        The text has the labels only once, because Linux limits an environment variable to 128 KiB.
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
        """Reads a text of `to_json`."""
        parts = json.loads(text)
        parts["config"]["data"]["labels"] = parts["labels"]
        parts["span"]["splits"] = tuple(parts["span"]["splits"])
        settings, span = config.validate(parts["config"], VARIABLE), spans.Span(**parts["span"])
        return cls(settings, span, tuple(parts["labels"]), parts["commit"])


def blueprint(settings: Config) -> Blueprint:
    """Makes the blueprint of a config from what lies on this machine.

    Raises:
        ConfigError: the labels or the layout of the data are not known on this machine, or the
            cluster's containers do not see a path.
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
            # A container's own settings do not affect the step that runs in it.
            "kubeflow": type(cluster)(),
        }
    )
    span = dataclasses.replace(span, base=root, path=root, number=0)
    return Blueprint(inside, span, labels, commit())


def chosen(plan: Blueprint, texts: Sequence[str]) -> dict[str, Any]:
    """Reads runtime parameters of what was compiled: `section.key=value`, the value in YAML.

    Returns:
        The parameter's name -> its value, in the type that the pipeline declares.

    Raises:
        ConfigError: a key is not a parameter, or the config does not allow its value.
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
    """Returns the name of a config key's runtime parameter."""
    return key.replace(".", "_")


def is_text(key: str, value: object) -> bool:
    """Tells whether a runtime parameter is text; a span is text, because it can be `latest`."""
    return key == SPAN or isinstance(value, str)


def _layout(settings: Config) -> spans.Span:
    """Returns the layout of the spans on this machine or, if there are none, the config's."""
    root = settings.data.root
    if not is_remote(root) and Path(root).exists():
        return spans.find(settings)
    return spans.numbered(root, spans.SPLITS if settings.kubeflow.split_folders else ())


def _check_paths(settings: Config, folders: Sequence[str]) -> None:
    """Refuses paths that only this machine has, if the config names folders of the cluster.

    Without such folders the containers see this machine's paths, as in a dry run.
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
