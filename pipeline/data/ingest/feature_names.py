"""The names of image and class in records that something else wrote, told or guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import ValidationError

from components import image_file
from components.image_example_gen.label_forms import listed
from components.image_example_gen.options import Features
from pipeline.config import ConfigError, did_you_mean
from pipeline.data import peek, records
from trainer.features import IMAGE, LABEL, TEXT

_NONE = "null"
_BASES: dict[str, Literal[0, 1]] = {"0": 0, "1": 1}


def settled(record: peek.Record, chosen: Mapping[str, str], where: str) -> Features:
    """Returns the names of a source's features, by one of its records.

    The image is the feature of the contract's name, or the only one that holds an image file. The
    class is in the contract's names; or in the feature `label`, `class`, `category` or `target`;
    or in the only ones whose names have such a word, one with a number, one with a text.

    Args:
        record: a record of the source.
        chosen: `image`, `label`, `text` -> name, or "null" for none; `label_base` -> 0 or 1.
        where: what messages call the source.

    Raises:
        ConfigError: a chosen name is not in the record, or what is not chosen is not clear.
    """
    for key, name in chosen.items():
        if key != "label_base" and name not in (*record, _NONE):
            raise ConfigError(
                f"--features {key}: found {name}; allowed: {listed(sorted(record))}"
                f"{did_you_mean(name, record)}"
            )
    image = chosen.get("image") or _image(record, where)
    label, text = (chosen.get(key) for key in ("label", "text"))
    if label is None and text in (None, _NONE):
        label, guessed = _class(record, image, where)
        text = text or guessed
    try:
        return Features(
            image=image,
            label=None if label == _NONE else label,
            text=None if text == _NONE else text,
            label_base=_BASES[chosen.get("label_base", "0")],
        )
    except (ValidationError, KeyError) as error:
        raise ConfigError(
            "--features: allowed: a label or a text or both, and label_base 0 or 1"
        ) from error


def _image(record: peek.Record, where: str) -> str:
    if IMAGE in record:
        return IMAGE
    return _only(
        [name for name in sorted(record) if _is_image(record[name])], "image", record, where
    )


def _class(record: peek.Record, image: str, where: str) -> tuple[str | None, str | None]:
    """Returns the features with the label and the text of a class; None for what is not there."""
    if LABEL in record or TEXT in record:
        return LABEL if LABEL in record else None, TEXT if TEXT in record else None
    named = [
        name
        for name in sorted(record)
        if name != image and record[name] and records.is_label_word(name)
    ]
    texts = [name for name in named if len(record[name]) == 1 and _is_text(record[name])]
    numbers = [name for name in named if not _is_text(record[name])]
    exact = [name for name in records.LABEL_WORDS if name in named]
    if exact:
        numbers = [name for name in exact if name in numbers][:1]
        texts = [name for name in exact if name in texts][:1] if not numbers else texts
    if numbers:
        label = _only(numbers, "label", record, where)
        return label, texts[0] if len(texts) == 1 else None
    return _only(texts, "label", record, where), None


def _only(found: Sequence[str], key: str, record: peek.Record, where: str) -> str:
    if len(found) == 1:
        return found[0]
    among = listed(list(found)) if found else f"none that is clear among {listed(sorted(record))}"
    example = found[0] if found else "NAME"
    raise ConfigError(f"{where}: {key}: found {among}; choose one by --features {key}={example}")


def _is_text(values: peek.Values) -> bool:
    return isinstance(values[0], bytes)


def _is_image(values: peek.Values) -> bool:
    return len(values) == 1 and isinstance(values[0], bytes) and image_file.is_image(values[0])
