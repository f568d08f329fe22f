"""How models are fitted, as plain data: the config's `trainer` section by the jobs it steers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

_Options = TypeVar("_Options")


def pick(kind: type[_Options], section: Mapping[str, Any]) -> _Options:
    """Makes options of the keys of a section that bear their fields' names.

    Args:
        kind: a dataclass.
        section: a section of the config as JSON gives it; see `pipeline.config`.
    """
    return kind(**{field.name: section[field.name] for field in fields(kind)})  # type: ignore[arg-type]


@dataclass(frozen=True)
class FitOptions:
    """How a model of any kind is fitted; the config's `trainer` section describes each key."""

    epochs: int
    batch_size: int
    optimizer: str
    learning_rate: float
    schedule: str
    warmup_epochs: float
    weight_decay: float
    clip_norm: float | None
    patience: int
    seed: int
    loss: str
    focal_gamma: float
    label_smoothing: float
    steps_per_execution: int
    jit_compile: bool


@dataclass(frozen=True)
class FinetuneOptions:
    """What `finetune` changes when the backbone is trained too; see `FitOptions`.

    Attributes:
        unfreeze: share of the backbone's layers that learn, counted from its top, or what the name
            of the first layer that learns starts with.
    """

    unfreeze: float | str
    epochs: int
    batch_size: int
    learning_rate: float
    warmup_epochs: float
    weight_decay: float
    clip_norm: float | None
    patience: int
