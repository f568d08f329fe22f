"""The page shows the numbers it is given, exactly, and takes no text for markup."""

from __future__ import annotations

import dataclasses
import html.parser
import math
import re
from collections.abc import Mapping
from typing import Any

from components.report import rendering
from components.report.page import Metric, Page, Served
from components.span_drift.report import DriftReport
from tests.components.report.conftest import MakePage

EVIL = ('<img src=x onerror="alert(1)">', "</style><script>alert(1)</script>", "قطة صغيرة")


class _Tags(html.parser.HTMLParser):
    """Collects tags with their attributes, and text."""

    def __init__(self, page: str) -> None:
        """Reads the page."""
        super().__init__()
        self.tags: list[tuple[str, Mapping[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_is_the_same_after_json(make_page: MakePage) -> None:
    for page in (make_page(), Page("a", "b", make_page().verdict)):
        assert Page.from_json(page.to_json()) == page


def test_the_numbers_are_exact(make_page: MakePage) -> None:
    page = make_page()
    tags = _Tags(rendering.render(page))
    values = {float(at["value"] or "nan") for tag, at in tags.tags if tag == "data"}
    metrics = {metric.value for metric in page.metrics}
    classes = {value for one in page.classes for value in (one.precision, one.recall, one.f1)}
    slices = {one.accuracy for one in page.slices}
    production = {metric.production for metric in page.metrics}
    assert metrics | classes | slices | production <= values
    for metric in page.metrics:
        assert f"{100 * metric.value:.2f}\N{NO-BREAK SPACE}%" in tags.text


def test_one_file_without_script_that_asks_for_nothing(make_page: MakePage) -> None:
    text = rendering.render(make_page(200))
    tags = _Tags(text)
    assert len(text) < 6_000_000
    assert not {tag for tag, _ in tags.tags} & {"script", "iframe", "object", "embed"}
    for tag, attributes in tags.tags:
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("src", "href", "xlink:href"):
            place = attributes.get(name) or "#"
            assert place.startswith(("data:", "#")), (tag, place)
    assert not re.search(r"@import|url\((?!#)", text)


def test_ids_are_unique_and_links_lead_somewhere(make_page: MakePage) -> None:
    tags = _Tags(rendering.render(make_page())).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] or "" for tag, attributes in tags if tag == "a"]
    assert links
    assert {link.removeprefix("#") for link in links} <= set(ids)


def test_class_names_stay_text(make_page: MakePage) -> None:
    tags = _Tags(rendering.render(make_page(EVIL)))
    assert "script" not in {tag for tag, _ in tags.tags}
    assert not [at for _, at in tags.tags if "onerror" in at or at.get("src") == "x"]
    for name in EVIL:
        assert name in tags.text


def test_a_metric_that_falls_as_it_should_is_better(make_page: MakePage) -> None:
    strips = rendering._strips(make_page().metrics)
    tones = {name: strip.tone for name, strip in strips.items() if strip}
    assert tones["accuracy"] == "better"
    assert tones["expected_calibration_error"] == "better"
    assert tones["macro_precision"] == "worse"
    assert tones["top_3_accuracy"] == "level"
    assert rendering._strips([Metric("accuracy", 0.9)]) == {"accuracy": None}


def test_mistakes_whose_images_are_gone_are_not_said_to_be_none(make_page: MakePage) -> None:
    page = dataclasses.replace(make_page(), mistakes=())
    text = rendering.render(page)
    assert f"<p>{page.wrong} of {page.test_images} test images are misclassified." in text
    assert "classified right" not in text


def test_what_a_run_did_not_reach_is_not_on_its_page(make_page: MakePage) -> None:
    whole = make_page()
    bare = Page("birds", "run-1", whole.verdict, labels=whole.labels)
    sections = {at["id"] for tag, at in _Tags(rendering.render(bare)).tags if tag == "section"}
    assert sections == {"card"}


def test_what_is_not_defined_is_a_dash(make_page: MakePage) -> None:
    undefined: Any = None  # what the Evaluator says of a metric without a value
    metrics = (Metric("accuracy", undefined, production=0.5), Metric("macro_f1", math.nan))
    page = make_page(metrics=metrics, production=7)
    rows = re.findall(r"<tr>.*?</tr>", rendering.render(page), re.DOTALL)
    accuracy, macro_f1 = (row for row in rows if "Accuracy<" in row or "Macro F1<" in row)
    for row in (accuracy, macro_f1):
        assert ">\N{EN DASH}<" in row
        assert "nan" not in row
        assert "None" not in row


def test_the_top_says_date_version_evidence_and_drift(make_page: MakePage) -> None:
    text = rendering.render(make_page()).replace("\N{NO-BREAK SPACE}", " ")
    (top,) = re.findall(r'<dl class="glance">.*?</dl>', text, re.DOTALL)
    for told in ("23 Nov 2026, 15:00 UTC", "Version 1795446000", "from this run", "test images"):
        assert told in top
    assert "found since span 3" in top
    assert "brightness" in top
    other = rendering.render(make_page(served=Served(17), drift=DriftReport(4, 3)))
    assert "from another run" in other
    assert "none since span 3" in other
    few = rendering.render(make_page(drift=DriftReport(4, 3, images=(12, 9))))
    assert few.count("too few images to tell") == 2  # at the top and in its section
    assert "none since" not in few
    assert "nothing yet" in rendering.render(make_page(served=None))


def test_a_suspect_has_both_labels_and_its_file(make_page: MakePage) -> None:
    page = make_page()
    text = rendering.render(page).replace("<wbr>", "")
    (section,) = re.findall(r'<section id="suspects">.*?</section>', text, re.DOTALL)
    for one in page.suspects:
        assert one.name in section
    assert page.suspects[0].given in section
    assert page.suspects[0].suggested in section


def test_only_what_is_unlike_train_is_called_so(make_page: MakePage) -> None:
    page = make_page()
    strange = sum((one.familiarity or 0) < 0.05 for one in page.mistakes)
    assert 0 < strange < len(page.mistakes)
    assert rendering.render(page).count('class="unfamiliar"') == strange


def test_few_test_images_are_called_weak_evidence(make_page: MakePage) -> None:
    few = rendering.render(make_page(test_images=12, wrong=0))
    assert "which is weak" in few
    assert "75.8 to 100.0" in few  # Wilson's interval of 12 of 12
    assert "which is weak" not in rendering.render(make_page(test_images=400, wrong=20))
