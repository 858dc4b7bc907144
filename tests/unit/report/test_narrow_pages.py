"""No page is wider than a phone: what is wider (tables) scrolls by itself. Measured by a browser where there is one."""

import re

import pytest

from tests.browser import MISSING, PROGRAM, Browser
from tests.unit.bridging.builders import kept, picture
from tests.unit.report.builders import make_run
from tests.unit.report.test_report import SUMMARY
from vr1_ray.bridging.card import write_card
from vr1_ray.bridging.rules import load_rules
from vr1_ray.bridging.tally import Tally
from vr1_ray.config import BridgeConfig, BridgeSourceConfig
from vr1_ray.evaluation.page import write_page
from vr1_ray.report import write_report
from vr1_ray.runs.reporting import reported_run
from vr1_ray.types import EncodedImage, Prompt

WIDTH = 390
LONG = "a/very/long/name/without/any/space/" * 8


def report(folder):
    prompt = Prompt(
        prompt_id="a",
        question=f"<image>{LONG}",
        images=(EncodedImage.from_bytes(picture()),),
        answer="3",
    )
    responses = dict.fromkeys(("base", "cold_start", "rl"), (LONG, True, 20))
    example = {"prompt": prompt, "responses": responses}
    runs = [reported_run(make_run(folder / name, steps=2, groups=2), LONG) for name in ("a", "b")]
    return write_report(folder / "report.html", runs, SUMMARY, [example])


def benchmark(folder):
    row = {
        "is_correct": False, "rule": LONG, "answer": "3", "extracted": LONG, "tokens": 5, "is_cut": True, "images": [],
        "question_id": LONG, "sample": 0, "labels": [LONG], "prompt": f"<image>{LONG}", "response": LONG,
    }  # fmt: skip
    return write_page(folder / "page.html", [row], {"name": "mathvista"}, "column " * 40)


def bridging(folder):
    config = BridgeConfig(sources=[BridgeSourceConfig(reader="jsonl", path=LONG)])
    tally, outcome = Tally(config, load_rules()), kept(folder)
    tally.add(outcome)
    samples = [(outcome, [folder / "0.png"])]
    return write_card(folder, tally.counts(), config, samples, num_read=1, num_bad=0)[1]


PAGES = [report, benchmark, bridging]


@pytest.mark.slow
@pytest.mark.skipif(not PROGRAM, reason=MISSING)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_not_wider_than_a_phone(page, tmp_path):
    path = page(tmp_path)
    with Browser(tmp_path, width=WIDTH, height=1200) as browser:
        browser.open(path.as_uri())
        assert browser.run("document.documentElement.scrollWidth") <= WIDTH
        if page is report:
            browser.wait("document.documentElement.dataset.ready")
            browser.run("document.getElementById('row-0').click()")
            browser.wait("document.querySelectorAll('#group .response').length === 4")
            browser.wait("document.querySelector('#panels svg')")
            assert browser.run("document.documentElement.scrollWidth") <= WIDTH
        assert browser.errors == []


@pytest.mark.parametrize("page", PAGES)
def test_a_table_scrolls_by_itself(page, tmp_path):
    text = page(tmp_path).read_text()
    assert '<div class="scroll">' in text
    assert len(re.findall(r'<div class="scroll[^"]*"><table>', text)) == text.count("<table>")
