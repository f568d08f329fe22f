"""The catalog of backbones, as plain data that loads neither TensorFlow nor Keras.

A new backbone of a known family is one entry: a name of `keras.applications` here, or a variant in
`efficientnet_lite_variants`. A new family also takes a module with the functions of
`registry.Family`, and its line in `registry`.
"""

from dataclasses import dataclass

from trainer.backbones.efficientnet_lite_variants import VARIANTS


@dataclass(frozen=True)
class Entry:
    """What is known of a backbone before it is built."""

    name: str  # which configs use
    family: str  # of architectures that builds it, a key of the registry's table
    input_size: int | None  # default side of the square input, in pixels; None: the family knows
    weights: tuple[str, ...]  # their symbolic names; a path is always allowed too


_KERAS_APPLICATIONS = (
    *("ConvNeXtTiny", "ConvNeXtSmall", "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge"),
    *("DenseNet121", "DenseNet169", "DenseNet201"),
    *(f"EfficientNetB{number}" for number in range(8)),
    *(f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")),
    *("InceptionResNetV2", "InceptionV3"),
    *("MobileNet", "MobileNetV2", "MobileNetV3Large", "MobileNetV3Small"),
    *("NASNetLarge", "NASNetMobile"),
    *("ResNet50", "ResNet101", "ResNet152", "ResNet50V2", "ResNet101V2", "ResNet152V2"),
    *("VGG16", "VGG19", "Xception"),
)

ENTRIES = (
    *(
        Entry(name, "efficientnet_lite", variant.input_size, ("bundled", "none"))
        for name, variant in VARIANTS.items()
    ),
    *(
        Entry(name, "keras_applications", None, ("imagenet", "none"))
        for name in _KERAS_APPLICATIONS
    ),
)

# Any model in a file; the file's path stands in place of the weights.
FILE = Entry("file", "model_file", None, ())


def names() -> tuple[str, ...]:
    """Lists the names of all backbones, in the order of the catalog."""
    return tuple(entry.name for entry in ENTRIES)


def get(name: str) -> Entry:
    """Looks a backbone up by name.

    Raises:
        ValueError: there is no backbone of that name; the message lists those there are.
    """
    for entry in (*ENTRIES, FILE):
        if entry.name == name:
            return entry
    raise ValueError(f"backbone {name!r} is unknown; allowed: {', '.join(names())}")
