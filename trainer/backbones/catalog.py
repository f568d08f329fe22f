"""What backbones there are, as plain data: reading it loads neither TensorFlow nor Keras.

A new backbone is an entry here. One of a new family also takes a module with the two functions of
`registry.Family`, and that module's line in `registry.py`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """What can be said of a backbone without building it.

    Attributes:
        name: the name that configs use.
        family: the family of architectures that builds it, a key of the registry's table.
        input_size: default side of the square input, in pixels.
        weights: the symbolic names of weights it takes; a path is always allowed beside them.
    """

    name: str
    family: str
    input_size: int
    weights: tuple[str, ...]


# Input size: the resolution that Lite0 was trained at, from the table in the README of
# tensorflow/tpu, models/official/efficientnet/lite.
ENTRIES = (Entry("efficientnet_lite0", "efficientnet_lite", 224, ("bundled", "none")),)


def names() -> tuple[str, ...]:
    """Lists the names of all backbones, in the order of the catalog."""
    return tuple(entry.name for entry in ENTRIES)


def get(name: str) -> Entry:
    """Looks a backbone up by name.

    Raises:
        ValueError: there is no backbone of that name; the message lists those there are.
    """
    for entry in ENTRIES:
        if entry.name == name:
            return entry
    raise ValueError(f"backbone {name!r} is unknown; allowed: {', '.join(names())}")
