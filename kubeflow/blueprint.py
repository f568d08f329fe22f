"""What the graph is built from on a cluster: once to compile it, and again inside a container.

Kubeflow's runtime parameters are whole values, but what an operator wants to change lies inside
TFX's serialized properties: an epoch count in the Trainer's options, a bound in the Evaluator's
config. So a runtime parameter is a key of the config, and a container that gets another value than
the compiled one wires the graph anew with it, by the one function that every runner uses, and takes
its own step's properties from there.
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

# The environment variable in which a container finds the blueprint. The environment is not part of
# Kubeflow's cache key, so a change of one step's config leaves the other steps cached.
VARIABLE = "RETRAIN_BLUEPRINT"
# A number or `latest`.
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
_BOUNDS = "evaluation.thresholds"


@dataclass(frozen=True)
class Blueprint:
    """Everything `create_pipeline` needs, with paths as the containers see them.

    Attributes:
        config: the config.
        span: how spans are laid out; its number and paths follow the config's.
        labels: class names; the index in this list is the class id.
        commit: that of the code that compiles; a container has no checkout to ask.
    """

    config: Config
    span: spans.Span
    labels: tuple[str, ...]
    commit: str

    def parameters(self) -> dict[str, Any]:
        """Maps the config keys that can be changed from run to run to their values."""
        leaves = dict(_leaves(self.config.model_dump(mode="json")))
        return {
            key: value
            for key, value in leaves.items()
            if value is not None
            and (key in _CHANGEABLE or (key.startswith(f"{_BOUNDS}.") and _is_number(value)))
        }

    def changed(self, values: Mapping[str, Any]) -> Blueprint:
        """Puts other values into the config.

        Args:
            values: dotted config key -> value.

        Raises:
            ConfigError: a value is not allowed.
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
        """Wires the graph; nothing is written.

        Raises:
            ConfigError: see `build.create_pipeline`.
        """
        # Heavy, and a container whose parameters are as compiled does without.
        from pipeline.graph import build

        root, number = self.config.data.root, self.config.data.span
        span = dataclasses.replace(
            self.span,
            base=root,
            path=f"{root}/span-{number}" if self.span.numbered else root,
            number=0 if number == "latest" else number,
        )
        return build.create_pipeline(self.config, span, self.labels, self.schema_file, self.commit)

    @property
    def schema_file(self) -> str:
        """The path at which a container that reads the curated schema must have written it."""
        from pipeline.graph import schema

        return schema.location(schema.curated(self.labels, self.config.evaluation.slices), _SCHEMAS)

    def write_schema(self) -> None:
        """Writes the curated schema to `schema_file`."""
        from pipeline.graph import schema

        schema.write(schema.curated(self.labels, self.config.evaluation.slices), _SCHEMAS)

    def to_json(self) -> str:
        """Serializes the blueprint; equal blueprints give equal texts.

        The labels stand in it once: Linux takes no environment variable of more than 128 KiB.
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
        """Reads what `to_json` wrote."""
        parts = json.loads(text)
        parts["config"]["data"]["labels"] = parts["labels"]
        span = {**parts["span"], "splits": tuple(parts["span"]["splits"])}
        return cls(
            config.validate(parts["config"], VARIABLE),
            spans.Span(**span),
            tuple(parts["labels"]),
            parts["commit"],
        )


def blueprint(settings: Config) -> Blueprint:
    """Makes the blueprint of a config, without looking at anything that is not on this machine.

    Raises:
        ConfigError: the labels or the layout of the data cannot be known here, or a path is of this
            machine and not of the cluster's containers.
    """
    if not isinstance(settings.data.labels, tuple) and is_remote(
        settings.data.labels or settings.data.root
    ):
        raise ConfigError(
            "data.labels: found a remote file; allowed when compiling, which does without the"
            " network: the list of names, or a local file"
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
            # What concerns the containers themselves does not concern what runs in them.
            "kubeflow": type(cluster)(),
        }
    )
    span = dataclasses.replace(span, base=root, path=root, number=0)
    return Blueprint(inside, span, labels, commit())


def chosen(plan: Blueprint, texts: Sequence[str]) -> dict[str, Any]:
    """Reads runtime parameters from the command line.

    Args:
        plan: the blueprint of what was compiled.
        texts: each `section.key=value`, with the value in YAML.

    Returns:
        The parameter's name -> its value, as Kubeflow takes it.

    Raises:
        ConfigError: a key is no parameter, or its value is not allowed.
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
    """Returns the runtime parameter's name for a config key."""
    return key.replace(".", "_")


def is_text(key: str, value: object) -> bool:
    """Tells whether a runtime parameter is text; a span is, whose values include `latest`."""
    return key == SPAN or isinstance(value, str)


def _layout(settings: Config) -> spans.Span:
    """Returns how spans are laid out: as they are on this machine, or as the config says."""
    root = settings.data.root
    if not is_remote(root) and Path(root).exists():
        return spans.find(settings)
    names = spans.SPLITS if settings.kubeflow.split_folders else ()
    return spans.numbered(root, names)


def _check_paths(settings: Config, folders: Sequence[str]) -> None:
    """Refuses paths that are this machine's alone, where the cluster has folders of its own.

    Without such folders the containers see what this machine sees, as those of a dry run do.

    Args:
        settings: the config.
        folders: what `data.root` and `output` are in the containers.

    Raises:
        ConfigError: a local path is not below what the containers see.
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


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
