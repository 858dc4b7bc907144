"""From responses to rows, table and page; protocol paper's pictures; what can't be mixed."""

import io
import json

import pytest
from PIL import Image

from tests.builders import picture, prompt
from tests.unit.evaluation.questions import question, wrapped
from vr1_ray.config import ConfigError, EvalConfig
from vr1_ray.evaluation import make_benchmark, paper
from vr1_ray.evaluation.page import write_page
from vr1_ray.evaluation.responses import Response, ResponseFile, check_settings
from vr1_ray.evaluation.scoring import TOO_LONG, judge_responses, result_of, rows_of
from vr1_ray.evaluation.table import PAPER_LABEL, result_text

ROW = {
    "query": "How old?", "question_type": "free_form", "answer_type": "integer", "answer": "14", "choices": None,
    "metadata": {"task": "math word problem", "skills": ["algebraic reasoning"]},
}  # fmt: skip
SETTINGS = {
    "model": "runs/x/policy", "temperature": 0.0, "top_p": 1.0, "max_response_tokens": 96, "protocol": "honest",
    "judge": "",
}  # fmt: skip
EVIL = "<script>alert(1)</script><answer>15</answer>"


def scored(samples, config=None, benchmark="mathvista"):
    """MathVista questions with these responses: (result, rows)."""
    config = config or EvalConfig(num_samples=max(map(len, samples)) or 1)
    questions = [question(benchmark, **ROW, pid=str(number)) for number in range(len(samples))]
    responses = {
        str(number): [
            Response(question_id=str(number), sample=place, response=text, tokens=5, is_cut=False)
            for place, text in enumerate(texts)
        ]
        for number, texts in enumerate(samples)
        if texts
    }
    found = judge_responses(make_benchmark(benchmark), questions, responses, config, None)
    rows = rows_of(found, responses, {})
    return result_of(benchmark, make_benchmark(benchmark), found, rows), rows


def test_a_row_says_what_was_asked_said_found_and_by_which_rule():
    _, [row, _] = scored([[wrapped("14")], [EVIL]])
    assert row["prompt"] == "How old?"
    assert (row["extracted"], row["is_correct"]) == ("14", True)
    assert row["rule"] == "integer, truncated: a number"
    assert json.loads(json.dumps(row)) == row


def test_a_question_too_long_to_ask_counts_as_wrong():
    result, rows = scored([[wrapped("14")], []])
    assert result["scores"]["overall"]["value"] == 0.5
    assert (result["not_asked"], rows[1]["rule"]) == (1, TOO_LONG)


def test_several_samples_give_mean_and_pass_at_k():
    result, _ = scored([[wrapped("14"), wrapped("15"), "", ""], [""] * 4])
    values = {name: score["value"] for name, score in result["scores"].items()}
    assert values["overall"] == values["pass@1"] == 1 / 8
    assert values["pass@2"] == pytest.approx(0.5 / 2)
    assert values["pass@4"] == 1 / 2


def test_the_table_sets_ours_beside_the_published_rows():
    result, _ = scored([[wrapped("14")], [EVIL]])
    text = result_text([result], SETTINGS)
    assert "2 of 1000 questions" in text
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    assert lines["overall"].split() == [
        "overall",
        "50.0",
        "0.0",
        "-",
        "100.0",
        "2",
        "0",
        "73.5",
        "76.4",
        "78.2",
        "68.1",
        "63.8",
    ]
    assert "83.2" not in text  # no question of GPS was asked
    assert PAPER_LABEL not in text


def test_protocol_paper_is_labelled_so():
    config = EvalConfig(protocol="paper")
    config.judge.model = "m"
    result, rows = scored([["<answer> Final Answer:14 </answer>"]], config)
    assert rows[0]["rule"] == "harness: read by rule"
    assert result_text([result], SETTINGS | {"protocol": "paper"}).startswith(PAPER_LABEL)


def test_what_a_policy_writes_can_not_become_markup(tmp_path):
    result, rows = scored([[wrapped("14")], [EVIL], ["<img src=x>"]])
    page = write_page(tmp_path / "page.html", rows, result, "table <b>").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<img src=x>" not in page
    assert "2 of 3 responses wrong" in page
    assert "table &lt;b&gt;" in page


def test_a_subset_warns_of_what_the_policy_may_have_seen():
    row = {"id": "1", "question": "?", "options": [], "answer": "1"}
    benchmark = make_benchmark("math_vision")
    asked = question("math_vision", **row)
    responses = {"1": [Response(question_id="1", sample=0, response="1", tokens=1, is_cut=False)]}
    judged = judge_responses(benchmark, [asked], responses, EvalConfig(), None)
    result = result_of("math_vision", benchmark, judged, rows_of(judged, responses, {}))
    assert "WARNING: part of Vision-R1-rl" in result_text([result], SETTINGS)


def test_the_harness_shrinks_pictures_to_512_pixels_as_jpeg():
    big = prompt(1, size=(1024, 300))
    [image] = paper.shrunk(big).images
    with Image.open(io.BytesIO(image.data)) as opened:
        assert (opened.format, opened.size) == ("JPEG", (512, 150))
    [same] = paper.shrunk(prompt(1, size=(84, 84))).images
    assert same.decode().size == picture(1).decode().size


def test_responses_are_kept_by_question_and_a_torn_line_is_mended(tmp_path):
    file = ResponseFile(tmp_path / "x.jsonl")
    responses = [
        Response(question_id="q", sample=n, response="r", tokens=1, is_cut=False) for n in (1, 0)
    ]
    file.append(responses)
    with file.path.open("a") as torn:
        torn.write('{"question_id": "z", "sam')
    assert file.read() == {"q": responses[::-1]}
    assert file.path.read_text().endswith("}\n")
    assert ResponseFile(tmp_path / "none.jsonl").read() == {}


def test_responses_of_other_settings_are_not_mixed_in(tmp_path):
    path = tmp_path / "settings.json"
    check_settings(path, SETTINGS)
    check_settings(path, SETTINGS)
    with pytest.raises(ConfigError, match=r"temperature: changed since the responses"):
        check_settings(path, SETTINGS | {"temperature": 1.0})


def test_responses_without_an_answer_are_counted_beside_every_score():
    result, _ = scored([[wrapped("14")], ["<think> I see"], [""]])
    assert result["scores"]["overall"]["no_answer"] == 2
    assert result["scores"]["MWP"]["no_answer"] == 2
    lines = result_text([result], SETTINGS).splitlines()
    assert next(line for line in lines if line.startswith("overall")).split()[6] == "2"
    assert "no answer: responses in which none was found; they count as wrong" in "".join(lines)


def test_groups_have_scores_of_their_own_beside_the_table():
    result, _ = scored([[wrapped("14")], [wrapped("15")]])
    assert result["groups"]["type: integer"]["value"] == 0.5
    assert "type: integer" not in result_text([result], SETTINGS)
