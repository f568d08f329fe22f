"""Describes what an image looks like in a few numbers: its layout, its colours and its shapes.

The model's own embeddings do not exist yet where spans are compared, and change with the backbone.
These numbers are the same for every model, and see what the measures of an image do not: another
hue, another orientation, other things in the picture.

Sources:
    Layout of colours: MPEG-7's colour layout descriptor (ISO/IEC 15938-3), here without its DCT.
    Shapes: N. Dalal and B. Triggs, "Histograms of oriented gradients for human detection",
        CVPR 2005, here with cells that do not overlap.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

SIDE = 32
_CELLS = 4
_CELL = SIDE // _CELLS
_ANGLES = 8
# Luma and two differences of colours, in [0, 1], as JPEG has them (ITU-R BT.601).
_YCC = np.array([[0.299, -0.169, 0.5], [0.587, -0.331, -0.419], [0.114, 0.5, -0.081]], np.float32)
LENGTH = _CELLS * _CELLS * (3 + 2 + _ANGLES)


def describe(pixels: Floats) -> Floats:
    """Returns the descriptions of images, float32 [batch, LENGTH].

    Each of 4 x 4 cells has its mean luma and colour, how much both colours vary, and how much of
    its edges points in each of eight directions. The three parts have about the same weight.

    Args:
        pixels: float32 [batch, SIDE, SIDE, 3] in [0, 255], RGB.
    """
    channels = pixels / np.float32(255) @ _YCC
    layout, spread = _cells(channels), np.sqrt(_cells(channels[..., 1:] ** 2))
    down, right = np.gradient(channels[..., 0], axis=(1, 2))
    strength, angle = np.hypot(down, right), np.arctan2(down, right)
    sector = np.floor((angle + np.pi) / (2 * np.pi) * _ANGLES).astype(np.int64) % _ANGLES
    edges = np.sqrt(_cells(strength[..., None] * (sector[..., None] == np.arange(_ANGLES))))
    parts = (layout, 2 * spread, 2 * edges)
    flat = [part.reshape(len(pixels), -1) for part in parts]
    described: Floats = np.concatenate(flat, axis=1).astype(np.float32)
    return described


def _cells(values: Floats) -> Floats:
    """Averages [batch, SIDE, SIDE, n] over each cell."""
    batch, _, _, depth = values.shape
    shape = (batch, _CELLS, _CELL, _CELLS, _CELL, depth)
    averaged: Floats = values.reshape(shape).mean(axis=(2, 4))
    return averaged
