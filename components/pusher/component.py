"""TFX's Pusher with an atomic push: a killed push leaves no partial version.

TFX's own executor copies files directly into the version's folder, and gives an unchanged model a
new version each time. Its cached result counts as a push even if the store has lost the model.
"""

import time
from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.components.pusher import component as tfx_pusher
from tfx.components.pusher import executor as tfx_executor
from tfx.dsl.components.base import executor_spec
from tfx.orchestration.portable import data_types
from tfx.proto import pusher_pb2
from tfx.proto.orchestration import driver_output_pb2
from tfx.types import artifact_utils
from tfx.types import standard_component_specs as specs
from tfx.types.channel import BaseChannel
from tfx.utils import json_utils, path_utils, proto_utils

from components import model_config, model_store
from components.store_driver import StoreDriver

PUSHED_KEY = "pushed"
VERSION_KEY = "pushed_version"
DESTINATION_KEY = "pushed_destination"
_KEEP = "keep"
_STANDING = "standing"


class Driver(StoreDriver):
    """Makes a cached push valid only while the model is the newest version in the store."""

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Adds to the custom config the newest version if it equals the model, else the time."""
        properties = execution_info.exec_properties
        (model,) = execution_info.input_dict[specs.MODEL_KEY]
        standing = model_store.standing(
            path_utils.serving_model_path(model.uri), _destination(properties)
        )
        options = json_utils.loads(properties[specs.CUSTOM_CONFIG_KEY])
        # The time differs in every run, so a model that is not in the store is always pushed.
        options[_STANDING] = time.time_ns() if standing is None else standing
        output = driver_output_pb2.DriverOutput()
        found = output.exec_properties[specs.CUSTOM_CONFIG_KEY]
        found.string_value = json_utils.dumps(options)
        return output


class Executor(tfx_executor.Executor):
    """TFX's executor, but it pushes with `model_store.publish`."""

    def Do(  # noqa: N802, the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Pushes the model if every blessing allows it."""
        pushed = artifact_utils.get_single_instance(output_dict[specs.PUSHED_MODEL_KEY])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed)
            return
        store = _destination(exec_properties)
        options = json_utils.loads(exec_properties[specs.CUSTOM_CONFIG_KEY])
        version = model_store.publish(
            self.GetModelPath(input_dict),
            store,
            options[_KEEP],
            needed=lambda: model_config.pinned(store),
        )
        model_config.ensure(store)
        self._MarkPushed(pushed, model_store.path(store, version), str(version))


def _destination(exec_properties: Mapping[str, Any]) -> str:
    destination = pusher_pb2.PushDestination()
    proto_utils.json_to_proto(exec_properties[specs.PUSH_DESTINATION_KEY], destination)
    store: str = destination.filesystem.base_directory
    return store


class Pusher(tfx_pusher.Pusher):
    """Pushes a blessed model into the model store."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
    DRIVER_CLASS = Driver

    def __init__(
        self,
        *,
        model: BaseChannel,
        model_blessing: BaseChannel,
        infra_blessing: BaseChannel,
        model_store: str,
        keep: int,
    ) -> None:
        """Takes the blessings of Evaluator and ServingValidator; `keep` versions are kept."""
        super().__init__(
            model=model,
            model_blessing=model_blessing,
            infra_blessing=infra_blessing,
            push_destination=pusher_pb2.PushDestination(
                filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=model_store)
            ),
            custom_config={_KEEP: keep},
        )
