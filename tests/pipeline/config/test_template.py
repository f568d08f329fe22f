"""The config that `retrain init` writes: it loads, equals the defaults and explains every key."""

import re
from collections.abc import Iterator

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import config
from pipeline.config import Config, ConfigError, template


def _defaults(name: str) -> Config:
    return Config.model_validate({"name": name, "data": {"root": f"data/{name}"}})


def _prose(text: str) -> str:
    """Joins all comments to running text."""
    return " ".join(re.sub(r"^[ #]*", "", line) for line in text.splitlines())


def _fields(model: object) -> Iterator[tuple[str, str]]:
    """Yields key and description of every field, from the models and not from their schema."""
    for key, field in model.model_fields.items():
        yield key, " ".join(field.description.split())  # the source wraps lines
        annotations = [field.annotation, *getattr(field.annotation, "__args__", ())]
        for annotation in annotations:
            if hasattr(annotation, "model_fields"):
                yield from _fields(annotation)


def test_the_template_loads_and_equals_the_defaults(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(template.render("cats"), encoding="utf-8")
    assert config.load(path) == config.resolve(_defaults("cats"))


# Words that YAML would take for a number or a truth value are names too.
@settings(max_examples=25, deadline=None)
@given(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True))
def test_every_allowed_name_comes_back(name):
    settings = config.parse(template.render(name), "template")
    assert config.validate(settings, "template") == _defaults(name)


@pytest.mark.parametrize("name", ["1e3", "on", "null", "12", "0x1f", "1_000", "2024-01-01"])
def test_names_that_look_like_something_else_come_back(name):
    assert config.parse(template.render(name), "template")["name"] == name


def test_a_wrong_name_is_refused():
    with pytest.raises(ConfigError, match='name: found "Cats"; allowed: up to 128'):
        template.render("Cats")


def test_every_key_is_described():
    prose = _prose(template.render("cats"))
    fields = list(_fields(Config))
    assert len(fields) > 40
    for key, description in fields:
        assert description in prose
        assert f"{key}:" in prose


def test_ranges_choices_and_defaults_are_given():
    text = template.render("cats")
    prose = _prose(text)
    assert "Allowed: a whole number from 1 up to 10000. Default: 40. epochs: 40" in prose
    assert "Allowed: adam or rmsprop or sgd. Default: adam. optimizer: adam" in prose
    assert "Default: runs/{name}. output: runs/{name}" in prose
    assert max(len(line) for line in text.splitlines()) <= 100


def test_what_is_commented_out_works_once_it_is_not():
    """Each example key, uncommented, gives a config that loads and differs from the defaults."""
    lines = template.render("cats").splitlines()
    examples = [n for n, line in enumerate(lines) if re.match(r" *# [a-z_0-9]+: [\[{0-9]", line)]
    assert len(examples) >= 8
    for number in examples:
        changed = list(lines)
        changed[number] = changed[number].replace("# ", "", 1)
        settings = yaml.safe_load("\n".join(changed))
        assert config.validate(settings, "template") != _defaults("cats"), lines[number]
