"""docs/config.md is what the models say today, has every key, and its links lead somewhere."""

import re
from pathlib import Path

from pipeline.config import keys, reference

PAGE = Path(__file__).resolve().parents[3] / "docs" / "config.md"


def test_the_page_is_current():
    assert PAGE.read_text("utf-8") == reference.render(), "run make docs"


def test_every_key_has_a_row():
    text = reference.render()
    names = {key.split(".")[-1] for key in keys.all_keys(keys.schema())}
    assert len(names) > 100
    assert not [name for name in names if f"\n| `{name}` | " not in text]


def test_every_link_leads_to_a_heading():
    text = reference.render()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    assert len(headings) == len(set(headings))
    links = re.findall(r"\[`(.+?)`\]\(#([\w-]+)\)", text)
    assert {path for path, _ in links} == set(headings[1:])
    assert all(anchor == re.sub(r"[.\[\]]", "", path.lower()) for path, anchor in links)


def test_defaults_allowed_values_and_examples_are_given():
    text = reference.render()
    assert "| `epochs` | a whole number from 1 up to 10000 | `40` | Passes over " in text
    assert "| `root` | a local path or gs://… | required | " in text
    assert "| `accuracy` | a mapping: [`evaluation.thresholds.accuracy`]" in text
    assert "| `{min: 0.5}` | " in text
    assert "Example: `[cat, dog]`. |" in text
