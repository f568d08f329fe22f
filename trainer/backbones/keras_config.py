"""Checks a model's config before Keras builds objects from it.

Keras calls what a config names: any function of any module up to 3.8 (CVE-2025-1550), its own
functions up to 3.10 (CVE-2025-8747, CVE-2025-9906), and layers that read files in many releases
(CVE-2025-12058, CVE-2026-1462). Its own checks are lists of what is forbidden, and each fix made
them longer. This is a list of what is allowed: classes that only compute.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import keras

TOO_DEEP = "of too many levels; allowed: at most 100"
_MOST_LEVELS = 100
_OURS = "retrain>"
_ALLOWED = "allowed: Keras's own layers that only compute, and what they are made of"

# Public names by namespace. A class must be of the given base; functions never are.
_NAMESPACES: dict[str, type] = {
    "keras.initializers": keras.Initializer,
    "keras.regularizers": keras.Regularizer,
    "keras.constraints": keras.constraints.Constraint,
    "keras.dtype_policies": object,
    "keras.quantizers": keras.Quantizer,
    # A model inside the model can be compiled.
    "keras.optimizers": keras.Optimizer,
    "keras.optimizers.schedules": keras.optimizers.schedules.LearningRateSchedule,
    "keras.losses": keras.Loss,
    "keras.metrics": keras.Metric,
}
_SINGLE = {("keras", "Sequential"), ("keras", "DTypePolicy"), ("keras.random", "SeedGenerator")}

# Layers and operations by the module that defines them, below keras.src. Left out: Lambda,
# TFSMLayer, JaxLayer, FlaxLayer, TorchModuleWrapper and the text layers, which run or read what
# a file names; operations on functions; and any module that a newer Keras adds.
_MODULES = (
    "activations.activations",
    "applications.convnext",
    "applications.inception_resnet_v2",
    *(
        f"layers.{family}"
        for family in (
            "activations",
            "attention",
            "convolutional",
            "core.dense",
            "core.einsum_dense",
            "core.embedding",
            "core.identity",
            "core.input_layer",
            "core.masking",
            "merging",
            "normalization",
            "pooling",
            "preprocessing.image_preprocessing",
            "preprocessing.normalization",
            "preprocessing.pipeline",
            "preprocessing.rescaling",
            "regularization",
            "reshaping",
            "rnn",
        )
    ),
    "models.functional",
    "ops.image",
    "ops.linalg",
    "ops.math",
    "ops.nn",
    "ops.numpy",
)
_CORE = ("Cast", "SaturateCast", "ScatterUpdate", "Slice", "SliceUpdate", "StopGradient", "Unstack")

# What Keras writes for a value that JSON lacks, without a module.
_TENSOR = "__keras_tensor__"
_VALUES = (_TENSOR, "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__")


def check(config: Any) -> None:
    """Checks that the whole tree names only classes that compute, and no functions.

    Args:
        config: the parsed `config.json` of a `.keras` file. How the model itself was compiled is
            not looked at: load it with `compile=False`, and Keras ignores that part.

    Raises:
        ValueError: the tree holds another class, a function, a call without a tensor of the model,
            or too many levels; the message names the place, and says what is allowed.
    """
    if not isinstance(config, dict) or "class_name" not in config:
        raise ValueError(f"found no model in config.json; {_ALLOWED}")
    for place, value in _walk({**config, "compile_config": None}):
        if not isinstance(value, dict):
            continue
        if "class_name" in value and (found := _refusal(value)):
            raise ValueError(f"found {found:.200} at {_written(place)}; {_ALLOWED}")
        # Called on constants, an operation would compute while the model is built.
        if not _is_called_on_tensors(value.get("inbound_nodes")):
            raise ValueError(
                f"found a call without a tensor of the model at {_written(place)};"
                " allowed: calls on outputs of other layers"
            )


# The place around, and the key in it: a tree of short tuples where texts would take the square.
_Place = tuple[Any, str | int] | None


def _walk(tree: Any) -> Iterator[tuple[_Place, Any]]:
    pending: list[tuple[_Place, Any, int]] = [(None, tree, 0)]
    while pending:
        place, value, level = pending.pop()
        if level > _MOST_LEVELS:
            raise ValueError(f"found a config {TOO_DEEP}")
        yield place, value
        if isinstance(value, list):
            value = dict(enumerate(value))
        if isinstance(value, dict):
            pending += [((place, key), item, level + 1) for key, item in value.items()]


def _written(place: _Place) -> str:
    keys: list[str] = []
    while place is not None:
        place, key = place
        keys.append(f"[{key}]" if isinstance(key, int) else f".{key:.40}")
    return "config.json" + "".join(reversed(keys))[:200]


def _is_called_on_tensors(nodes: Any) -> bool:
    return nodes is None or (
        isinstance(nodes, list)
        and all(
            isinstance(node, dict)
            and any(
                isinstance(value, dict) and value.get("class_name") == _TENSOR
                for _, value in _walk([node.get("args"), node.get("kwargs")])
            )
            for node in nodes
        )
    )


def _refusal(value: dict[str, Any]) -> str:
    """Returns what is wrong with the config of an object, or nothing."""
    module, name, registered = (value.get(k) for k in ("module", "class_name", "registered_name"))
    if name in _VALUES:
        inner = value.get("config")
        kind = inner.get("dtype", "float32") if isinstance(inner, dict) else "float32"
        return "" if isinstance(kind, str) and kind in _dtypes() else f"values of type {kind!r}"
    if not isinstance(name, str) or not isinstance(module, str):
        return f"{name!r} without a module"
    if name == "function":
        return f"the function {value.get('config')!r} of {module}"
    # Keras looks the registered name up first, and takes the class's name where there is none.
    if isinstance(registered, str) and registered.startswith(_OURS):
        ours = keras.saving.get_registered_object(registered)
        known = ours is not None and (ours.__module__, ours.__name__) == (module, name)
        return "" if known else f"the unknown class {registered!r}"
    if registered not in (None, name):
        return f"{module}.{name} under the name {registered!r}"
    return "" if (module, name) in _classes() else f"{module}.{name}"


@functools.cache
def _classes() -> frozenset[tuple[str, str]]:
    """Returns module and name of each class that is allowed, as Keras writes them."""
    modules = tuple(f"keras.src.{module}" for module in _MODULES)
    computing = [
        kind
        for kind in _subclasses(keras.Operation)
        if f"{kind.__module__}.".startswith(tuple(f"{module}." for module in modules))
        or (kind.__module__ == "keras.src.ops.core" and kind.__name__ in _CORE)
    ]
    public = [
        ("keras.layers", name)
        for name, kind in vars(keras.layers).items()
        if isinstance(kind, type) and kind in computing
    ]
    parts = [
        (module, name)
        for module, base in _NAMESPACES.items()
        for name, kind in vars(_namespace(module)).items()
        if isinstance(kind, type) and issubclass(kind, base)
    ]
    internal = [(kind.__module__, kind.__name__) for kind in computing]
    return frozenset([*_SINGLE, *public, *parts, *internal])


def _namespace(module: str) -> Any:
    return functools.reduce(getattr, module.split(".")[1:], keras)


def _subclasses(kind: type) -> set[type]:
    direct: list[type] = kind.__subclasses__()
    return set(direct).union(*(_subclasses(each) for each in direct))


@functools.cache
def _dtypes() -> frozenset[str]:
    widths = {"int": (4, 8, 16, 32, 64), "uint": (4, 8, 16, 32, 64), "float": (16, 32, 64)}
    numbers = (f"{kind}{width}" for kind, sizes in widths.items() for width in sizes)
    return frozenset([*numbers, "bfloat16", "bool", "float8_e4m3fn", "float8_e5m2"])
