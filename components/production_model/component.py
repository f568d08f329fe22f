"""The ProductionModel component, which copies the model in production into the pipeline.

It replaces the Resolver of TFX's examples, which open-source Kubeflow Pipelines refuses. It reads
the model from the model store, not from a metadata database.
"""

import json
from collections.abc import Sequence

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components import model_config
from components import model_store as store
from components.function_component import component
from components.store_driver import StoreDriver

VERSION_KEY = "version"
NO_VERSION = 0


class Driver(StoreDriver):
    """Sets the parameter `version` to the version in production, for the cache key."""

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Returns the parameter `version`; `NO_VERSION` if the store is empty."""
        version = model_config.in_production(execution_info.exec_properties["model_store"])
        output = driver_output_pb2.DriverOutput()
        output.exec_properties[VERSION_KEY].int_value = NO_VERSION if version is None else version
        return output


@component("production_model", "model_store.py", driver=Driver)
def ProductionModel(  # noqa: N802, a component's name
    model: OutputArtifact[standard_artifacts.Model],
    model_store: Parameter[str],
    labels: Parameter[str],
    version: Parameter[int] = NO_VERSION,
    code: Parameter[str] = "",
) -> None:
    """Copies the model in production out of the store, which may delete it later.

    Before the first push the model is empty, since Kubeflow Pipelines has no optional artifacts.

    Args:
        model: gets the SavedModel, and the version as a custom property.
        model_store: the model store's folder.
        labels: JSON list of class names; those of the production model must be the first of them.
        version: version in production, set by the driver; `NO_VERSION` before the first push.
        code: fingerprint of the code, for the cache key.

    Raises:
        FileNotFoundError: the version was deleted from the store in the meantime.
        ValueError: a class id of the version has another class name in `labels`, or none.
    """
    model.set_int_custom_property(VERSION_KEY, version)
    if version != NO_VERSION:
        store.copy_version(model_store, version, path_utils.serving_model_dir(model.uri))
        _check_labels(store.labels(model_store, version), json.loads(labels), version)


def _check_labels(known: Sequence[str], labels: Sequence[str], version: int) -> None:
    """Raises if a class id of the production model has another class name in `labels`."""
    for class_id, before in enumerate(known):
        now = repr(labels[class_id]) if class_id < len(labels) else "missing"
        if now != repr(before):
            raise ValueError(
                f"data.labels: class {class_id} is {before!r} in version {version}, which is in"
                f" production, and {now} now; allowed: the same classes in the same order with new"
                " ones after them, or another name for the pipeline"
            )
