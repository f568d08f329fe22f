"""The catalog of backbones, as plain data that loads neither TensorFlow nor Keras.

A new backbone of a known family is one entry: a name of `keras.applications` here, or a variant in
`efficientnet_lite_variants`. A new family also needs a module with the functions of
`registry.Family`, registered in `registry`.
"""

from dataclasses import dataclass

from trainer.backbones.efficientnet_lite_variants import VARIANTS


@dataclass(frozen=True)
class Entry:
    """Facts about a backbone that are known before it is built."""

    name: str  # as configs write it
    family: str  # name of the module that builds it, as `registry` knows it
    input_size: int | None  # default side of the square input, in pixels; None: ask the family
    weights: tuple[str, ...]  # symbolic names of its weights; a path is always allowed too


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

# Any model in a file; the path of the file is given as its weights.
FILE = Entry("file", "model_file", None, ())


def names() -> tuple[str, ...]:
    """Returns the names of all backbones except "file", in the order of the catalog."""
    return tuple(entry.name for entry in ENTRIES)


def get(name: str) -> Entry:
    """Looks a backbone up by name.

    Raises:
        ValueError: no backbone has that name; the message lists the names that are allowed.
    """
    for entry in (*ENTRIES, FILE):
        if entry.name == name:
            return entry
    raise ValueError(f"backbone {name!r} is unknown; allowed: {', '.join(names())}")
