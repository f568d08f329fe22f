"""The executor of ImageExampleGen, which calls `bring_in` with TFX's execution properties."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from google.protobuf import struct_pb2
from tfx import types
from tfx.components.example_gen import utils, write_split
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils
from tfx.types import standard_component_specs as specs
from tfx.utils import proto_utils

from components.image_example_gen.bring_in import bring_in
from components.image_example_gen.driver import SEPARATOR
from components.image_example_gen.options import Rules
from components.image_example_gen.splits import Cut

RULES = "rules"


class Executor(base_beam_executor.BaseBeamExecutor):
    """Ingests spans: writes clean records by split, quarantined records, and `intake.json`."""

    def Do(  # noqa: N802, the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the artifact `examples`: its splits, `quarantine` and `intake.json`."""
        self._log_startup(input_dict, output_dict, exec_properties)
        inputs, outputs = example_gen_pb2.Input(), example_gen_pb2.Output()
        proto_utils.json_to_proto(exec_properties[specs.INPUT_CONFIG_KEY], inputs)
        proto_utils.json_to_proto(exec_properties[specs.OUTPUT_CONFIG_KEY], outputs)
        rules = _rules(exec_properties)
        given = [split.name for split in inputs.splits]
        cut = _cut(outputs, given)
        names = [name for name in given if cut is None or name != cut.of]
        names = [*(cut.names if cut else ()), *names]
        examples = artifact_utils.get_single_instance(output_dict[specs.EXAMPLES_KEY])
        examples.split_names = artifact_utils.encode_split_names(names)
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(
            examples, write_split.to_file_format_str(example_gen_pb2.FORMAT_TFRECORDS_GZIP)
        )
        base = exec_properties[specs.INPUT_BASE_KEY]
        patterns = {
            split.name: [os.path.join(base, one) for one in split.pattern.split(SEPARATOR)]
            for split in inputs.splits
        }
        with self._make_beam_pipeline() as pipeline:
            bring_in(
                pipeline,
                patterns=patterns,
                cut=cut,
                names=names,
                rules=rules,
                span=int(exec_properties.get(utils.SPAN_PROPERTY_NAME) or 0),
                folder=examples.uri,
            )


def _rules(exec_properties: dict[str, Any]) -> Rules:
    custom, struct = example_gen_pb2.CustomConfig(), struct_pb2.Struct()
    proto_utils.json_to_proto(exec_properties[specs.CUSTOM_CONFIG_KEY], custom)
    custom.custom_config.Unpack(struct)
    return Rules.model_validate_json(struct[RULES])


def _cut(outputs: example_gen_pb2.Output, given: Sequence[str]) -> Cut | None:
    """Returns how the first split that the data brings, which holds train, is cut; None if not."""
    splits = outputs.split_config.splits
    if not splits:
        return None
    return Cut(
        names=tuple(split.name for split in splits),
        buckets=tuple(split.hash_buckets for split in splits),
        of=given[0],
    )
