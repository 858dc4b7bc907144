"""A report as a person uses it, in a real browser: filters, a group opened, the same question over the steps, keys."""

import base64
import json

import pytest

from tests.browser import MISSING, PROGRAM, Browser
from tests.unit.report.builders import make_run
from vr1_ray.report import write_report
from vr1_ray.runs.reporting import reported_run

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PROGRAM, reason=MISSING)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    top = tmp_path_factory.mktemp("runs")
    return [
        reported_run(make_run(top / "demo", steps=8, groups=4, prompts=8)),
        reported_run(make_run(top / "other", steps=4, groups=2, prompts=4, size=2)),
    ]


@pytest.fixture(scope="module")
def browser(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    path = write_report(folder / "report.html", runs, title="two runs")
    with Browser(folder) as opened:
        opened.open(path.as_uri())
        opened.wait("document.documentElement.dataset.ready")
        yield opened


def choose(browser, name, value):
    """Set a field of the filters as a hand does, and wait for the list."""
    before = browser.run("document.getElementById('count').textContent")
    browser.run(
        f"(() => {{ const field = document.getElementById('filters').elements[{json.dumps(name)}];"
        f"field.value = {json.dumps(value)};"
        "for (const kind of ['input', 'change']) field.dispatchEvent(new Event(kind, {bubbles: true})); })()"
    )
    return before


def count(browser, text):
    browser.wait(f"document.getElementById('count').textContent === {json.dumps(text)}")


def is_right(rollout):
    return rollout.reward_parts["accuracy"] == 1.0


def test_filters_leave_the_groups_that_they_say(browser, runs):
    groups = [group for step in runs[0].groups() for group in step]
    right = [[is_right(one) for one in group.rollouts] for group in groups]
    count(browser, "32 of 32 groups")
    for value, kept in (
        ("mixed", [any(one) and not all(one) for one in right]),
        ("wrong", [not any(one) for one in right]),
        ("cut", [any(r.status == "truncated" for r in group.rollouts) for group in groups]),
    ):
        choose(browser, "outcome", value)
        count(browser, f"{sum(kept)} of 32 groups")
    choose(browser, "outcome", "")
    choose(browser, "stage", "2")
    count(browser, "16 of 32 groups")
    choose(browser, "stage", "")
    choose(browser, "search", "PICTURE 5")
    count(browser, "4 of 32 groups")
    choose(browser, "search", "no such words")
    count(browser, "0 of 32 groups")
    choose(browser, "search", "")
    count(browser, "32 of 32 groups")


def test_a_search_reads_responses_too_when_asked(browser, runs):
    text = next(iter(runs[0].groups()))[1].rollouts[0].text[20:60]
    found = sum(
        any(text.lower() in one.text.lower() for one in group.rollouts)
        for step in runs[0].groups()
        for group in step
    )
    assert found >= 1
    choose(browser, "search", text)
    count(browser, "0 of 32 groups")
    browser.run("document.getElementById('filters').elements.deep.click()")
    count(browser, f"{found} of 32 groups")
    browser.run("document.getElementById('filters').elements.deep.click()")
    choose(browser, "search", "")
    count(browser, "32 of 32 groups")


def test_an_opened_group_shows_its_picture_and_the_rewards_that_were_given(browser, runs):
    group = next(iter(runs[0].groups()))[2]
    browser.run("document.getElementById('row-2').click()")
    browser.wait("document.querySelector('#group h3')?.textContent.includes('picture 2?')")
    source = browser.run("document.querySelector('#group img').src")
    assert base64.b64decode(source.split(",")[1]) == group.prompt.images[0].data
    assert browser.run("document.querySelector('#group img').complete")
    assert browser.run("document.querySelector('#group img').naturalWidth") == 26
    facts = browser.run(
        "[...document.querySelectorAll('#group .facts')].map((one) => one.textContent)"
    )
    assert len(facts) == len(group.rollouts)
    for place, (fact, rollout) in enumerate(zip(facts, group.rollouts, strict=True)):
        assert fact.startswith(f"#{place}reward {rollout.reward:g}advantage ")
        assert f"{rollout.num_tokens} tokens" in fact
        assert ("truncated" in fact) == (rollout.status == "truncated")
    texts = browser.run("[...document.querySelectorAll('#group .response')].map((one) => [...one.querySelectorAll('pre')].map((pre) => pre.textContent).join(''))")  # fmt: skip
    assert texts == [one.text for one in group.rollouts]


def test_coloured_tokens_are_the_same_text(browser, runs):
    group = next(iter(runs[0].groups()))[2]
    browser.run("document.getElementById('row-2').click()")
    browser.wait("document.querySelector('#group select')?.options.length === 4")
    for kind in ("s", "r", "a"):
        browser.run(
            "(() => { const field = document.querySelector('#group select');"
            f"field.value = '{kind}'; field.dispatchEvent(new Event('change')); }})()"
        )
        browser.wait(f"document.querySelector('#group select').value === '{kind}' && document.querySelector('#group .legend')")  # fmt: skip
        texts = browser.run("[...document.querySelectorAll('#group .response')].map((one) => [...one.querySelectorAll('pre')].map((pre) => pre.textContent).join(''))")  # fmt: skip
        assert texts == [one.text for one in group.rollouts]
    assert browser.run("document.querySelectorAll('#group pre span').length") > 20


def test_the_same_question_is_followed_over_the_steps(browser, runs):
    browser.run("document.getElementById('row-2').click()")
    browser.wait("document.querySelector('#group h3')?.textContent.includes('picture 2?')")
    browser.run("document.getElementById('over-steps').click()")
    browser.wait("document.querySelectorAll('#history .link').length === 4")
    asked = [
        group
        for step in runs[0].groups()
        for group in step
        if group.prompt.question.endswith("picture 2?")
    ]
    rows = browser.run("[...document.querySelectorAll('#history tr')].slice(1).map((row) => [...row.cells].slice(0, 2).map((cell) => cell.textContent))")  # fmt: skip
    assert rows == [
        [f"step {group.step}", f"{sum(map(is_right, group.rollouts))}/{len(group.rollouts)}"]
        for group in asked
    ]
    browser.run("document.querySelectorAll('#history .link')[3].click()")
    browser.wait(f"document.querySelector('#group .asked')?.textContent.includes('step {asked[3].step} ')")  # fmt: skip


def test_arrows_and_enter_open_a_group(browser):
    browser.run("document.getElementById('list').focus()")
    browser.run("document.getElementById('group').replaceChildren()")
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        browser.key(key)
    browser.wait("document.querySelectorAll('#group .response').length === 4")
    assert browser.run("document.activeElement.id") == "list"


def test_another_run_is_chosen_in_the_same_list(browser):
    choose(browser, "run", "1")
    count(browser, "8 of 8 groups")
    browser.run("document.getElementById('row-0').click()")
    browser.wait("document.querySelectorAll('#group .response').length === 2")
    choose(browser, "run", "0")
    count(browser, "32 of 32 groups")


def test_curves_are_drawn_and_nothing_is_complained_of_or_fetched(browser):
    browser.run("document.getElementById('histograms').scrollIntoView()")
    browser.wait("document.querySelector('#histograms svg')")
    browser.run("document.getElementById('panels').scrollIntoView()")
    browser.wait("document.querySelector('#panels svg .trace')")
    assert browser.run("document.getElementById('trouble').hidden")
    assert browser.errors == []
    assert [one for one in browser.requests if not one.startswith(("file:", "data:"))] == []


def test_what_a_model_writes_does_nothing_in_a_browser(tmp_path):
    from tests.unit.report.test_run_page import EVIL, group, rollout, run_of

    one = run_of(group(rollout(f"<think>{EVIL}</think>{EVIL}", reward=1.0), question=EVIL))
    path = write_report(tmp_path / "report.html", [one], title=EVIL)
    with Browser(tmp_path) as browser:
        browser.open(path.as_uri())
        browser.wait("document.documentElement.dataset.ready")
        browser.run("window.alert = () => { window.harmed = true; }")
        browser.run("document.getElementById('row-0').click()")
        browser.wait("document.querySelectorAll('#group .response').length === 1")
        assert browser.run("document.querySelector('#group h3').textContent") == EVIL
        assert not browser.run("window.harmed || document.querySelectorAll('img').length > 0")
        assert browser.errors == []
