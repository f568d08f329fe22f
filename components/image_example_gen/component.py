"""The ImageExampleGen component: TFX's file-based ExampleGen with an executor of its own."""

from __future__ import annotations

from google.protobuf import any_pb2, struct_pb2
from tfx.components.example_gen import component as tfx_example_gen
from tfx.dsl.components.base import executor_spec
from tfx.proto import example_gen_pb2, range_config_pb2

from components.image_example_gen.checks import Checks
from components.image_example_gen.driver import Driver
from components.image_example_gen.executor import CHECKS, Executor
from trainer import fingerprint


class ImageExampleGen(tfx_example_gen.FileBasedExampleGen):
    """Copies spans into the pipeline: clean records into its splits, all others into quarantine.

    Spans, versions, patterns and the fingerprint of the input are TFX's, by its driver; a range
    may have more than one span.
    """

    DRIVER_CLASS = Driver
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        input_base: str,
        input_config: example_gen_pb2.Input,
        checks: Checks,
        output_config: example_gen_pb2.Output | None = None,
        range_config: range_config_pb2.RangeConfig | None = None,
    ) -> None:
        """Declares the component.

        Args:
            input_base: folder that holds the spans.
            input_config: pattern of each split's files; TFX's `{SPAN}` may stand in them.
            checks: what a record must be like.
            output_config: hash buckets of each split, where the data comes without; which feature
                is hashed is for `checks` to say.
            range_config: which spans; None takes the latest.
        """
        super().__init__(
            input_base=input_base,
            input_config=input_config,
            output_config=output_config,
            custom_config=_custom_config(checks),
            range_config=range_config,
        )


def _custom_config(checks: Checks) -> example_gen_pb2.CustomConfig:
    """Packs the checks, and the code that does them, so that a cached result fits both."""
    fields = checks.as_dict()
    parts = (
        fingerprint.digest(("image_example_gen", "tfrecord_file.py"), fields, "components"),
        fingerprint.digest(("images.py",), {}),
    )
    struct = struct_pb2.Struct()
    struct.update({CHECKS: fields, "fingerprint": "-".join(parts)})
    packed = any_pb2.Any()
    packed.Pack(struct)
    return example_gen_pb2.CustomConfig(custom_config=packed)
