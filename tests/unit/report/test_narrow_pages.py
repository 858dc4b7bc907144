"""No page is wider than a phone: what is wider (tables) scrolls by itself. Measured by a browser where there is one."""

import re
import shutil
import subprocess

import pytest

from tests.unit.bridging.builders import kept, picture
from tests.unit.report.test_report import SUMMARY
from vr1_ray.bridging.card import write_card
from vr1_ray.bridging.rules import load_rules
from vr1_ray.bridging.tally import Tally
from vr1_ray.config import BridgeConfig, BridgeSourceConfig
from vr1_ray.evaluation.page import write_page
from vr1_ray.report import write_report
from vr1_ray.types import EncodedImage, Prompt

WIDTH = 390
LONG = "a/very/long/name/without/any/space/" * 8
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)


def report(folder):
    prompt = Prompt(
        prompt_id="a",
        question=f"<image>{LONG}",
        images=(EncodedImage.from_bytes(picture()),),
        answer="3",
    )
    responses = dict.fromkeys(("base", "cold_start", "rl"), (LONG, True, 20))
    return write_report(folder, SUMMARY, (), [{"prompt": prompt, "responses": responses}])


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
@pytest.mark.skipif(not BROWSER, reason="no browser on this machine")
@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_not_wider_than_a_phone(page, tmp_path):
    path = page(tmp_path)
    script = "<script>document.title=document.documentElement.scrollWidth+' of '+innerWidth</script></body>"
    path.write_text(path.read_text().replace("</body>", script))
    done = subprocess.run(
        [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--dump-dom",
         f"--user-data-dir={tmp_path}/browser", f"--window-size={WIDTH},1200", path.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    found = re.search(r"<title>(\d+) of (\d+)</title>", done.stdout)
    assert found, done.stdout[:300]
    assert int(found[1]) <= int(found[2])


@pytest.mark.parametrize("page", PAGES)
def test_a_table_scrolls_by_itself(page, tmp_path):
    text = page(tmp_path).read_text()
    assert '<div class="scroll">' in text
    assert len(re.findall(r'<div class="scroll"><table>', text)) == text.count("<table>")
