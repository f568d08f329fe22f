"""The ImageExampleGen component: TFX's file-based ExampleGen with its own driver and executor."""

from google.protobuf import struct_pb2
from tfx.components.example_gen import component as tfx_example_gen
from tfx.dsl.components.base import executor_spec
from tfx.proto import example_gen_pb2, range_config_pb2

from components.image_example_gen.driver import Driver
from components.image_example_gen.executor import RULES, Executor
from components.image_example_gen.options import Rules
from trainer import fingerprint


class ImageExampleGen(tfx_example_gen.FileBasedExampleGen):
    """Ingests spans: clean records go into splits, the others into quarantine.

    As in TFX, the driver resolves spans, versions and patterns, and fingerprints the files; unlike
    in TFX, a range may have more than one span.
    """

    DRIVER_CLASS = Driver
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        input_base: str,
        input_config: example_gen_pb2.Input,
        rules: Rules,
        output_config: example_gen_pb2.Output | None = None,
        range_config: range_config_pb2.RangeConfig | None = None,
    ) -> None:
        """Declares the component.

        Args:
            input_base: folder that holds the spans.
            input_config: glob of each split's files, which may contain TFX's `{SPAN}`.
            rules: rules by which records are accepted or quarantined.
            output_config: hash buckets of each split if the data has no splits, else None;
                `rules.group` names the feature that is hashed.
            range_config: range of spans to read; None reads the latest span.
        """
        super().__init__(
            input_base=input_base,
            input_config=input_config,
            output_config=output_config,
            custom_config=_custom_config(rules),
            range_config=range_config,
        )


def _custom_config(rules: Rules) -> example_gen_pb2.CustomConfig:
    """Packs the rules with the fingerprint of the code that applies them, for the cache key."""
    parts = (
        fingerprint.digest(
            ("image_example_gen", "image_file.py", "tfrecord_file.py"), {}, "components"
        ),
        fingerprint.digest(fingerprint.IMAGE_PATH, {}),
    )
    struct = struct_pb2.Struct()
    # The rules are text, since a Struct turns every number into a float.
    struct.update({RULES: rules.model_dump_json(), "fingerprint": "-".join(parts)})
    config = example_gen_pb2.CustomConfig()
    config.custom_config.Pack(struct)
    return config
