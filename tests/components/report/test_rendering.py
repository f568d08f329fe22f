"""The page shows the numbers it is given, exactly, and takes no text for markup."""

from __future__ import annotations

import dataclasses
import html.parser
import re
from collections.abc import Mapping

from components.report import rendering
from components.report.page import Metric, Page
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
