"""The page as people see it: on a wide screen and a phone, by day and by night."""

from __future__ import annotations

import base64
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.report import rendering
from components.report.page import Interval, Metric, Page, Step, Verdict
from tests.components.report.conftest import MakePage

pytestmark = pytest.mark.slow

Write = Callable[[str], str]

EVIL = ('<img src=x onerror="console.error(1)">', "</style><script>alert(1)</script>", "قطة صغيرة")


LONG = (
    "Chlorocebus-pygerythrus-or-vervet-monkey-of-the-southern-savannah",
    "a very long class name of many short words, as people do write them in a list of labels",
    *(
        f"Donaudampfschifffahrtselektrizitaetenhauptbetriebswerkbauunterbeamter{n}"
        for n in range(12)
    ),
)


def _failed(page: Page) -> Page:
    steps = (
        Step("transform", "done", 61.2, 81_000_000),
        Step("trainer", "failed", 20.5, error="ValueError: <b>the loss</b> is nan"),
        Step("evaluator", "not run", 0.0),
    )
    return Page(
        name=page.name,
        run=page.run,
        verdict=Verdict("failed", "The run failed in trainer.", ("the loss is nan",)),
        labels=page.labels,
        data=page.data,
        steps=steps,
    )


def _faultless(page: Page) -> Page:
    count = len(page.labels)
    matrix = tuple(tuple(50 * (row == column) for column in range(count)) for row in range(count))
    return dataclasses.replace(
        page,
        metrics=(Metric("accuracy", 1.0, Interval(1.0, 1.0)),),
        production=None,
        matrix=matrix,
        confusions=(),
        mistakes=(),
        wrong=0,
    )


def _pages(make: MakePage) -> dict[str, Page]:
    refused = Verdict("refused", "The model was refused.", ("accuracy on all: 0.9 is too low",))
    return {
        "all": make(),
        "refused": make(verdict=refused),
        "failed": _failed(make()),
        "faultless": _faultless(make()),
        "two classes": make(2),
        "200 classes": make(200),
        "evil": make(EVIL, file=EVIL[0]),
        "long names": make(LONG, file=f"{'folder-of-an-archive/' * 6}{'x' * 90}"),
    }


VIEWS = ((1280, "light"), (320, "dark"), (390, "light"), (1280, "dark"), (390, "dark"))
NAMES = (
    "all",
    "refused",
    "failed",
    "faultless",
    "two classes",
    "200 classes",
    "evil",
    "long names",
)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_is_sound_on_every_screen(
    browser: Any, make_page: MakePage, written: Write, name: str
) -> None:
    url = written(rendering.render(_pages(make_page)[name]))
    for width, scheme in VIEWS if name in ("all", "long names") else VIEWS[:2]:
        _look(browser, url, width, scheme)
        where = f"{name}, {width} pixels, {scheme}"
        if name == "all":
            _unfold(browser)
        if name == "all" or width < 600:  # axe takes long, so elsewhere folds stay folded for it
            assert _serious(browser) == [], where
        _unfold(browser)
        _keep_screenshot(browser, f"{name}-{width}-{scheme}", width)
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width, f"{where}: scrolls sideways: {_too_wide(browser, width)}"
        if width < 600:
            assert browser.execute_script(_SCROLLING) == [], where
        assert browser.execute_script(_DISORDER) == [], where
        broken = browser.execute_script(
            "return [...document.images].filter(i => !i.naturalWidth).map(i => i.alt)"
        )
        assert broken == [], where
        assert browser.execute_script(_SQUASHED) == [], where
        pale = [pair for pair in browser.execute_script(_CONTRASTS) if pair[1] < 4.5]
        assert pale == [], where
        assert [entry["message"] for entry in browser.get_log("browser")] == [], where


def _unfold(browser: Any) -> None:
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")


def _serious(browser: Any) -> list[Any]:
    """Returns what axe-core finds that keeps people out."""
    from axe_core_python.selenium import Axe

    return [
        (one["id"], [(node["html"][:120], node["failureSummary"]) for node in one["nodes"][:3]])
        for one in Axe().run(browser)["violations"]
        if one["impact"] in ("serious", "critical")
    ]


# axe passes over text in SVG, so its colours are compared with the ground here.
_CONTRASTS = """
const light = color => {
  const parts = color.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
};
const ground = light(getComputedStyle(document.body).backgroundColor);
return [...document.querySelectorAll('svg text')].map(text => {
  const ink = light(getComputedStyle(text).fill);
  return [text.textContent, (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05)];
});
"""


# Whatever a finger would have to push sideways.
_SCROLLING = """
return [...document.querySelectorAll('body *')]
  .filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX != 'visible')
  .map(e => e.outerHTML.slice(0, 80));
"""

_SQUASHED = """
return [...document.images].filter(i => i.offsetHeight && getComputedStyle(i).objectFit == 'fill')
  .filter(i => {
    const seen = i.offsetWidth / i.offsetHeight, drawn = i.naturalWidth / i.naturalHeight;
    return Math.abs(seen / drawn - 1) > 0.05;
  })
  .map(i => i.alt);
"""

# What a screen reader stumbles over and axe calls moderate at most.
_DISORDER = """
const found = [];
if (document.documentElement.lang != 'en') found.push('lang');
let last = 0;
for (const heading of document.querySelectorAll('h1, h2, h3, h4, h5, h6')) {
  const level = Number(heading.tagName[1]);
  if (level > last + 1) found.push(heading.outerHTML);
  last = level;
}
for (const image of document.images) if (!image.alt) found.push(image.outerHTML.slice(0, 80));
return found;
"""


def _look(browser: Any, url: str, width: int, scheme: str) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    browser.get(url)


def _too_wide(browser: Any, width: int) -> list[str]:
    found: list[str] = browser.execute_script(
        "return [...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll')"
        " && e.getBoundingClientRect().right > arguments[0]).map(e => e.outerHTML.slice(0, 80))",
        width,
    )
    return found[:5]


def _keep_screenshot(browser: Any, name: str, width: int) -> None:
    """Keeps a picture of the whole page where SCREENSHOTS names a folder, for people to look at."""
    folder = os.environ.get("SCREENSHOTS")
    if not folder:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    height = browser.execute_script("return document.documentElement.scrollHeight")
    taken = browser.execute_cdp_cmd(
        "Page.captureScreenshot",
        {
            "captureBeyondViewport": True,
            "clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": 1},
        },
    )
    Path(folder, f"{name}.png").write_bytes(base64.b64decode(taken["data"]))


def test_every_link_and_fold_is_reached_by_keyboard(
    browser: Any, make_page: MakePage, written: Write
) -> None:
    from selenium.webdriver.common.keys import Keys

    _look(browser, written(rendering.render(make_page())), 1280, "light")
    wanted = browser.execute_script(
        "return document.querySelectorAll('a, summary, [tabindex=\"0\"]').length"
    )
    reached = set()
    for _ in range(wanted):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        reached.add(browser.switch_to.active_element.id)
    assert len(reached) == wanted
