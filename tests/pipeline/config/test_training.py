"""What training can be told: the keys reach the graph, and wrong ones are told by name."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline import config
from pipeline.config import Config, ConfigError


def _error(**sections: Any) -> str:
    with pytest.raises(ConfigError) as error:
        config.validate({"name": "x", "data": {"root": "d"}, **sections}, "f.yaml")
    return str(error.value)


def _valid(**sections: Any) -> Config:
    return config.validate({"name": "x", "data": {"root": "d"}, **sections}, "f.yaml")


def test_a_wrong_key_of_a_block_names_the_block() -> None:
    blocks = [{"filters": 8}, {"filers": 8, "filters": 1}]
    message = _error(trainer={"cnn": {"blocks": blocks}})
    assert message == (
        "f.yaml: trainer.cnn.blocks[1].filers: unknown key;"
        " did you mean trainer.cnn.blocks[1].filters?"
    )
    message = _error(trainer={"cnn": {"blocks": [{"filters": 0}]}})
    assert message.startswith("f.yaml: trainer.cnn.blocks[0].filters: found 0; allowed: ")


@pytest.mark.parametrize("weights", ["balanced", {"cat": 2.0}, None])
def test_class_weights_are_a_word_or_a_mapping(weights: Any) -> None:
    assert _valid(trainer={"class_weights": weights}).trainer.class_weights == weights


def test_other_class_weights_are_refused() -> None:
    message = _error(trainer={"class_weights": "even"})
    assert 'trainer.class_weights: found "even"; allowed: balanced, a mapping' in message
    message = _error(trainer={"class_weights": {0: 2, 1: 1.0}})
    assert "trainer.class_weights: found the key 0, which is no text" in message
    assert "quotes" in message


@pytest.mark.parametrize("unfreeze", [0.0, 0.5, 1.0, "block5"])
def test_a_share_or_a_name_says_what_learns(unfreeze: Any) -> None:
    found = _valid(trainer={"finetune": {"unfreeze": unfreeze}}).trainer.finetune.unfreeze
    assert found == unfreeze


def test_a_backbone_from_a_file_stands_in_place_of_a_name() -> None:
    found = _valid(backbone={"path": "models/own.keras"})
    assert found.backbone.source == ("file", "models/own.keras")
    assert config.resolve(found).backbone.path.startswith("/")  # type: ignore[union-attr]
    assert found.image_size is None
    assert _valid().backbone.source == ("efficientnet_lite0", "bundled")


def test_a_search_needs_a_head() -> None:
    assert _valid(tuner={"trials": 3}).tuner.trials == 3  # type: ignore[union-attr]
    message = _error(trainer={"mode": "scratch"}, tuner={"trials": 3})
    assert "tuner: found a search in mode scratch" in message


def test_a_range_runs_upwards() -> None:
    search = {"learning_rate": {"min": 0.1, "max": 0.01}}
    assert "allowed: a min below max" in _error(tuner={"search": search})


def test_a_share_that_is_searched_stays_a_share() -> None:
    search = {"dropout": {"min": 0.1, "max": 1.5}}
    message = _error(tuner={"search": search})
    assert "tuner.search.dropout: found max 1.5; allowed: a share below 1" in message


@pytest.mark.parametrize(
    ("mode", "path", "told"),
    [
        ("head", "/nowhere/own.keras", "backbone.path: there is no /nowhere/own.keras"),
        ("finetune", "/", "backbone.path: found /, which cannot be trained; allowed: a .keras"),
    ],
)
def test_a_backbone_that_is_not_there_or_cannot_learn_is_told_at_once(
    mode: str, path: str, told: str
) -> None:
    with pytest.raises(ConfigError) as error:
        config.check_weights(_valid(backbone={"path": path}, trainer={"mode": mode}))
    assert told in str(error.value)
