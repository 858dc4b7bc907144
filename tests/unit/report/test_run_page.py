"""The report of runs, part by part, without a browser: what is in the page, how often, how large, and what it says is left out."""

import base64
import gzip
import json
import re
from collections import Counter
from itertools import pairwise

import pytest

from tests.unit.report.builders import encoded, make_run, tokenizer
from vr1_ray.report import write_report
from vr1_ray.report.lengths import Lengths
from vr1_ray.report.records import ReportedRun
from vr1_ray.report.tokens import token_colours, widths_of
from vr1_ray.runs.reporting import reported_run
from vr1_ray.tracking.jsonl import JsonlSink
from vr1_ray.types import Prompt, Rollout, RolloutGroup, Stage

EVIL = "</script><img src=x onerror=alert(1)><script>alert(2)</script>{{ 7*7 }}"
STAGE = Stage(number=1, max_response_tokens=8, group_size=2, steps=1)
FIXED_MB = 2.2  # the page without any group: plotly.js most of all


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "demo", steps=6, groups=4, prompts=8)


def page_of(folder, runs, **options):
    return write_report(folder / "page.html", runs, **options).read_text(encoding="utf-8")


def part(page, name):
    """A part of the page as its scripts unpack it."""
    [found] = re.findall(rf'<script type="text/plain" id="{name}">([^<]*)</script>', page)
    return json.loads(gzip.decompress(base64.b64decode(found)))


def names(page, letter):
    return re.findall(rf'<script type="text/plain" id="({letter}\d[^"]*)">', page)


def rollout(text, *, index=0, reward=0.0, status="finished", ids=(1, 2), parts=None, **own):
    return Rollout(
        index=index, attempt=0, seed=1, status=status, response_ids=ids, text=text, reward=reward,
        reward_parts={"accuracy": reward} if parts is None else parts, advantage=0.0, **own,
    )  # fmt: skip


def group(*rollouts, question="How many?", step=1, metadata=None):
    prompt = Prompt(prompt_id=question, question=question, answer="3", metadata=metadata or {})
    return RolloutGroup(
        prompt=prompt, step=step, stage=STAGE, policy_version=0, prompt_ids=(1,), rollouts=rollouts
    )


def run_of(*groups, **own):
    rows = [{"step": 1, "reward/mean": 0.5}]
    return ReportedRun(
        name="x", kind="rl", state="running", rows=rows, groups=lambda: iter([groups]), **own
    )


@pytest.mark.slow
def test_what_a_model_writes_is_never_markup_and_comes_back_as_it_was(tmp_path):
    run = run_of(group(rollout(EVIL, reward=1.0), question=f"<image>{EVIL}"))
    page = page_of(tmp_path, [run], title=EVIL)
    assert "onerror=alert(1)>" not in page
    assert page.count("</script>") == page.count("<script")
    assert part(page, "t0-1")[0][0][7] == EVIL
    assert part(page, "index")["runs"][0]["prompts"][0][1] == EVIL
    assert f"<title>{EVIL.split('>')[0].replace('<', '&lt;')}&gt;" in page


@pytest.mark.slow
def test_no_script_but_the_pages_own_may_run(tmp_path):
    page = page_of(tmp_path, [run_of(group(rollout("3")))])
    [nonce] = re.findall(r"script-src 'nonce-([^']+)'", page)
    assert page.count(f'<script nonce="{nonce}">') == 1
    assert re.findall(r"<script(?! type=\"text/plain\")[^>]*>", page) == [
        f'<script nonce="{nonce}">'
    ]
    assert "default-src 'none'" in page
    assert not re.findall(r'(?:src|href)="(?!#|data:)', page)


@pytest.mark.slow
def test_a_picture_stands_in_the_page_once_however_often_it_is_asked_about(tmp_path, run_folder):
    page = page_of(tmp_path, [reported_run(run_folder)])
    index = part(page, "index")["runs"][0]
    assert len(index["columns"]["step"]) == 24  # 6 steps of 4 groups, about 8 pictures
    assert sorted(place for prompt in index["prompts"] for place in prompt[3]) == list(range(8))
    [batch] = re.findall(r'id="p0">([^<]*)<', page)
    saved = {path.read_bytes() for path in (run_folder / "rollouts/images").iterdir()}
    assert {base64.b64decode(line) for line in batch.split("\n")} == saved


@pytest.mark.slow
def test_rewards_advantages_parts_and_marks_are_those_that_were_saved(tmp_path, run_folder):
    run = reported_run(run_folder)
    page = page_of(tmp_path, [run])
    first = next(iter(run.groups()))[0]
    index, shown = part(page, "index")["runs"][0], part(page, "t0-1")[0]
    assert index["parts"] == ["hard_format", "format", "accuracy"]  # not hard_format/accuracy again
    for row, saved in zip(shown, first.rollouts, strict=True):
        assert row[2:4] == [saved.status, saved.num_tokens]
        assert row[4] == saved.reward
        assert row[5] == pytest.approx(saved.advantage, rel=1e-3)
        assert row[7] == saved.text
    assert index["columns"]["cut"][0] == sum(one.status == "truncated" for one in first.rollouts)


@pytest.mark.slow
def test_token_colours_are_left_out_first_then_groups_both_evenly_and_the_page_says_so(tmp_path):
    folder = make_run(tmp_path / "large", steps=24, groups=4, size=8, prompts=96)
    run = reported_run(folder)
    whole = page_of(tmp_path, [run])
    assert len(names(whole, "k")) == len(names(whole, "t")) == 24
    assert "left out" not in whole
    tokens = sum(len(text) for text in re.findall(r'id="k0-\d+">([^<]*)<', whole))
    without = (len(whole.encode()) - 0.6 * tokens) / 1e6
    page = page_of(tmp_path, [run], max_mb=without)
    assert len(page.encode()) <= without * 1e6
    kept = [int(name.split("-")[1]) for name in names(page, "k")]
    assert 7 <= len(kept) <= 11
    assert max(after - before for before, after in pairwise(kept)) <= 4
    assert len(names(page, "t")) == 24
    assert f"token colours are in {len(kept)} of 24 steps" in page
    page = page_of(tmp_path, [run], max_mb=FIXED_MB + 0.1)
    assert len(page.encode()) <= (FIXED_MB + 0.1) * 1e6
    index = part(page, "index")["runs"][0]
    left = len(index["columns"]["step"])
    assert 5 < left < 96
    per_step = Counter(index["columns"]["step"])
    assert max(per_step.values()) - min(per_step[step] for step in range(1, 25)) <= 1
    assert f"{96 - left} of 96 saved groups are left out" in page
    total = sum(sum(stage["right"]) + sum(stage["wrong"]) for stage in index["lengths"]["stages"])
    assert total == 96 * 8  # the histogram counts all


@pytest.mark.slow
def test_a_bound_below_the_page_without_groups_is_refused_with_what_it_needs(tmp_path, run_folder):
    with pytest.raises(ValueError, match=r"max_mb: 1 is too small; the page needs 2\.\d MB"):
        page_of(tmp_path, [reported_run(run_folder)], max_mb=1)
    assert not (tmp_path / "page.html").exists()


def test_lengths_are_counted_by_stage_and_correctness():
    lengths = Lengths()
    lengths.add(
        group(
            rollout("a", ids=(1,) * 3, reward=1.0),
            rollout("b", ids=(1,) * 8),
            rollout("c", ids=(1,) * 8, status="truncated"),
            rollout("d", ids=(), status="invalid"),
        )
    )
    assert lengths.histograms() == {
        "width": 1,
        "stages": [
            {
                "stage": 1,
                "cap": 8,
                "right": [0, 0, 1, 0, 0, 0, 0, 0],
                "wrong": [0, 0, 0, 0, 0, 0, 0, 2],
            }
        ],
    }
    assert lengths.measure == "right"


def test_without_an_accuracy_right_means_rewarded():
    lengths = Lengths()
    lengths.add(group(rollout("a", reward=0.2, parts={}), rollout("b", parts={})))
    assert lengths.measure == "rewarded"
    [stage] = lengths.histograms()["stages"]
    assert (stage["right"], stage["wrong"]) == ([0, 1], [0, 1])


def test_token_colours_are_sixteen_levels_of_what_was_saved():
    one = rollout(
        "ab c",
        ids=(1, 2, 3),
        rollout_logprobs=(0.0, -1.0, -9.0),
        ref_logprobs=(0.0, -3.0, -7.0),
    )
    colours = token_colours(one, lambda ids, text: widths_of(["ab", " c", ""], text))
    # sqrt(1 / 4) of 15 is 7.5, which rounds to 8; 9 nats are above 4. Engine less reference: 0, +2, -2 of 2 nats.
    assert colours == {"w": "220", "s": "08f", "r": "8f0"}
    assert token_colours(one, lambda ids, text: widths_of(["ab", "c"], text)) is None
    assert token_colours(rollout("a"), lambda ids, text: [1, 0]) is None


def test_the_widths_of_tokens_add_up_to_the_text_also_where_tokens_split_a_character(run_folder):
    widths = reported_run(run_folder).token_widths
    for text in ("<think> I see 3. </think>", "角度 is 30° 😀 ok", ""):
        ids = encoded(text)
        decoded = tokenizer().decode(list(ids), skip_special_tokens=True)
        found = widths(ids, decoded)
        assert found is not None
        assert len(found) == len(ids)
        assert sum(found) == len(decoded)
    assert widths((1, 2), "another text") is None


def test_events_are_stages_engines_checkpoints_and_alarms_at_their_steps(run_folder):
    found = [(event.step, event.kind) for event in reported_run(run_folder).events]
    assert (1, "stage") in found
    assert (4, "stage") in found
    assert (3, "alarm") in found
    assert (3, "scaling") in found  # the second engine
    assert (2, "checkpoint") in found
    assert found == sorted(found, key=lambda one: one[0])


def test_notes_are_kept_with_their_step_and_those_of_an_earlier_run_are_not(tmp_path):
    sink = JsonlSink(tmp_path, None)
    sink.note("ALARM before any step")
    sink.log(1, {})
    sink.note("x" * 5_000)
    sink.close()
    rows = [json.loads(line) for line in (tmp_path / "notes.jsonl").read_text().splitlines()]
    assert [(row["step"], len(row["text"])) for row in rows] == [(1, 21), (2, 1_000)]
    resumed = JsonlSink(tmp_path, 1)
    resumed.note("going on from step 1")
    resumed.close()
    assert len((tmp_path / "notes.jsonl").read_text().splitlines()) == 3
    JsonlSink(tmp_path, None).close()
    assert not (tmp_path / "notes.jsonl").exists()


def test_a_note_that_a_killed_run_left_half_written_hides_no_other(tmp_path):
    folder = make_run(tmp_path / "run", steps=4, groups=1, size=2)
    with (folder / "notes.jsonl").open("a") as file:
        file.write('{"step": 2, "te{"step": 3}\n{"step": 3, "text": "engine 1 was lost"}\n')
    texts = [event.text for event in reported_run(folder).events]
    assert "engine 1 was lost" in texts
    assert any(text.startswith("ALARM step 2") for text in texts)


@pytest.mark.slow
def test_settings_that_differ_from_the_defaults_stand_apart(tmp_path, run_folder):
    page = page_of(tmp_path, [reported_run(run_folder)])
    changed, others = page.split("more, as they are by default")
    assert "<td>rollout.save</td><td>&#34;sampled&#34;</td><td>&#34;all&#34;</td>" in changed
    assert "trainer.optimizer.lr" in others
    assert "trainer.optimizer.lr" not in changed


@pytest.mark.slow
def test_a_picture_that_is_gone_is_told_and_hides_nothing_else(tmp_path):
    folder = make_run(tmp_path / "run", steps=2, groups=2, size=2, prompts=4)
    next((folder / "rollouts/images").iterdir()).unlink()
    page = page_of(tmp_path, [reported_run(folder)])
    index = part(page, "index")["runs"][0]
    assert sorted(prompt[3][0] for prompt in index["prompts"]) == [-1, 0, 1, 2]
    assert "1 pictures could not be read any more" in page


def test_a_run_without_a_step_is_refused_with_its_state(tmp_path):
    with pytest.raises(ValueError, match="has no step to report yet; its state: unfinished"):
        reported_run(tmp_path)
