"""The ProductionModel component.

It stands where TFX examples put a Resolver, which open-source Kubeflow Pipelines refuses: state
that outlives a run is read from the model store, not from a metadata database.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2
from tfx.types import artifact_utils, channel_utils, component_spec, standard_artifacts
from tfx.utils import json_utils, path_utils

from components import model_config, model_store
from components.store_driver import StoreDriver
from trainer import fingerprint

STORE_KEY = "model_store"
LABELS_KEY = "labels"
VERSION_KEY = "version"
CODE_KEY = "code"
MODEL_KEY = "model"
NO_VERSION = 0


class ProductionModelSpec(component_spec.ComponentSpec):
    """What goes into the component and comes out of it."""

    PARAMETERS = {
        STORE_KEY: component_spec.ExecutionParameter(type=str),
        VERSION_KEY: component_spec.ExecutionParameter(type=int),
        LABELS_KEY: component_spec.ExecutionParameter(type=str),
        CODE_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict[str, component_spec.ChannelParameter] = {}
    OUTPUTS = {MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model)}


class Driver(StoreDriver):
    """Looks up the version in production, so that it becomes part of the cache key."""

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Returns the execution properties with the version in production filled in."""
        properties = execution_info.exec_properties
        output = driver_output_pb2.DriverOutput()
        for key in (STORE_KEY, LABELS_KEY):
            output.exec_properties[key].string_value = properties[key]
        version = model_config.in_production(properties[STORE_KEY])
        output.exec_properties[VERSION_KEY].int_value = NO_VERSION if version is None else version
        return output


class Executor(base_executor.BaseExecutor):
    """Copies that version out of the store, which may drop it later."""

    def Do(  # noqa: N802, the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the production model, or nothing when there is none yet.

        Raises:
            FileNotFoundError: the version left the store in the meantime.
            ValueError: it knows other classes by the same ids.
        """
        model = artifact_utils.get_single_instance(output_dict[MODEL_KEY])
        version = exec_properties[VERSION_KEY]
        model.set_int_custom_property(VERSION_KEY, version)
        if version != NO_VERSION:
            destination = path_utils.serving_model_dir(model.uri)
            model_store.copy_version(exec_properties[STORE_KEY], version, destination)
            _check_labels(
                model_store.labels(exec_properties[STORE_KEY], version),
                json_utils.loads(exec_properties[LABELS_KEY]),
                version,
            )


def _check_labels(known: Sequence[str], labels: Sequence[str], version: int) -> None:
    """Refuses labels under which a class id would change its meaning for those who are served."""
    for class_id, before in enumerate(known):
        now = repr(labels[class_id]) if class_id < len(labels) else "missing"
        if now != repr(before):
            raise ValueError(
                f"data.labels: class {class_id} is {before!r} in version {version}, which is in"
                f" production, and {now} now; allowed: the same classes in the same order with new"
                " ones behind them, or another name for the pipeline"
            )


class ProductionModel(base_component.BaseComponent):
    """Emits the model in production as a `Model`; an empty one before the first push.

    The output always exists, since Kubeflow Pipelines knows no optional artifact. Its custom
    property `version` says which one it is, 0 for none.
    """

    SPEC_CLASS = ProductionModelSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
    DRIVER_CLASS = Driver

    def __init__(self, model_store: str, labels: Sequence[str]) -> None:
        """Declares the component.

        Args:
            model_store: the model store's folder.
            labels: class names; those of the production model must be the first of them.
        """
        super().__init__(
            ProductionModelSpec(
                **{
                    STORE_KEY: model_store,
                    VERSION_KEY: NO_VERSION,
                    LABELS_KEY: json_utils.dumps(list(labels)),
                    # Unused, but a change of the code must not be answered from the cache.
                    CODE_KEY: fingerprint.digest(
                        ("production_model", "model_store.py"), {}, "components"
                    ),
                    MODEL_KEY: channel_utils.as_channel([standard_artifacts.Model()]),
                }
            )
        )
