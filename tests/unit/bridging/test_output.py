"""What a run leaves: both sharegpt variants, parquet with pictures, counts, card, audit."""

import json
from dataclasses import replace

import pytest

from tests.unit.bridging.builders import dropped, kept, picture, reply
from vr1_ray.bridging.audit import audit, read_ledger
from vr1_ray.bridging.card import write_card
from vr1_ray.bridging.output import LLAVA, MULBERRY, DatasetWriter, OutcomeLog
from vr1_ray.bridging.progress import Progress
from vr1_ray.bridging.rows import Outcome, outcome_from_json, to_json
from vr1_ray.bridging.rules import load_rules
from vr1_ray.bridging.tally import Tally
from vr1_ray.config import BridgeConfig, DataConfig, EndpointConfig
from vr1_ray.data import load_demonstrations
from vr1_ray.figure_math.drawing import RectangleFigure, figure_to_json
from vr1_ray.rewards.response_format import parse_response


def write(folder, outcomes, rows_per_shard=2):
    with DatasetWriter(folder, rows_per_shard=rows_per_shard) as writer:
        return [writer.write(outcome) for outcome in outcomes]


@pytest.mark.parametrize("name", [LLAVA, MULBERRY])
def test_both_variants_are_demonstrations_that_the_cold_start_reads(tmp_path, name):
    write(tmp_path / "dataset", [kept(tmp_path, index) for index in range(3)])
    config = DataConfig(demonstrations=[str(tmp_path / "dataset" / name)])
    demonstrations = load_demonstrations(config)
    assert len(demonstrations) == 3
    assert demonstrations[0].prompt.question == "<image>How wide is the rectangle?"
    assert demonstrations[0].prompt.images[0].data == picture(0)
    assert demonstrations[0].prompt.answer == "2"
    parsed = parse_response(demonstrations[0].response)
    assert parsed.thought == "Hmm, wait. Two units wide. The answer is 2."
    assert parsed.answer == "Final Answer:2"


def test_the_variants_have_vision_r1s_columns(tmp_path):
    write(tmp_path / "dataset", [kept(tmp_path)])
    [llava], [mulberry] = (
        json.loads((tmp_path / "dataset" / name).read_text()) for name in (LLAVA, MULBERRY)
    )
    assert list(llava) == ["id", "image", "conversations"]
    assert [turn["from"] for turn in llava["conversations"]] == ["human", "gpt"]
    assert list(mulberry) == ["images", "conversations"]
    assert [turn["from"] for turn in mulberry["conversations"]] == ["user", "assistant"]
    info = json.loads((tmp_path / "dataset/dataset_info.json").read_text())
    assert info["vision_r1_llava_cot_full"]["columns"]["images"] == "image"


def test_parquet_has_the_pictures_and_comes_in_shards(tmp_path):
    import datasets

    write(tmp_path / "dataset", [kept(tmp_path, index) for index in range(5)])
    files = sorted((tmp_path / "dataset").glob("*.parquet"))
    assert [path.name for path in files] == [f"train-0000{n}.parquet" for n in range(3)]
    rows = datasets.load_dataset(
        "parquet", data_files=[str(path) for path in files], cache_dir=str(tmp_path), split="train"
    )
    assert rows.column_names == ["images", "problem", "answer", "response", "source"]
    assert len(rows) == 5
    assert rows[4]["images"][0].size == (84, 84)


def test_no_kept_row_leaves_readable_files(tmp_path):
    write(tmp_path / "dataset", [])
    assert json.loads((tmp_path / "dataset" / LLAVA).read_text()) == []


def test_outcomes_come_back_in_the_rows_order(tmp_path):
    log = OutcomeLog(tmp_path / "outcomes.jsonl", 3)
    for index in (2, 0):
        log.add(index, to_json(kept(tmp_path, index)))
    assert [outcome_from_json(line).row.index for line in log.lines()] == [0, 2]
    assert log.missing() == 1
    log.close()


def tally_of(outcomes, **endpoint):
    tally = Tally(BridgeConfig(reasoner=EndpointConfig(**endpoint)), load_rules())
    for outcome in outcomes:
        tally.add(outcome)
    return tally.counts()


def test_counts_are_of_rows_by_first_reason_and_of_chains_by_every_rule(tmp_path):
    row = kept(tmp_path, 3).row
    failed = Outcome(
        row=row,
        failed="description_failed: mllm: gave up",
        failed_at="description",
        replies={"pseudo_cot": [reply()]},
    )
    counts = tally_of(
        [
            kept(tmp_path, 0),
            dropped(tmp_path, 1, rules=("wrong_answer", "looping")),
            dropped(tmp_path, 2, rules=("looping",)),
            failed,
        ],
        output_price=1e6,
    )
    assert (counts["asked"], counts["kept"]) == (4, 1)
    assert {name: n for name, n in counts["dropped"].items() if n} == {
        "description_failed": 1,
        "wrong_answer": 1,
        "looping": 1,
    }
    assert counts["rule_hits"]["looping"] == 2
    assert counts["stages"] == {
        "pseudo_cot": {"in": 4, "out": 4},
        "description": {"in": 4, "out": 3},
        "reasoning": {"in": 3, "out": 3},
    }
    assert counts["usage"]["reasoning"]["replies"] == 3
    assert counts["usage"]["reasoning"]["cost"] == 60.0  # three replies of 20 tokens at one each


def test_words_of_table_4_are_whole_words_in_any_case(tmp_path):
    thought = "Wait, WAIT: waiter. Hmm! Let me check. Checked. A mistake? Alternatively, no."
    counts = tally_of([kept(tmp_path, thought=thought)])
    assert counts["reflection_words"] == {
        "Wait": 2,
        "Hmm": 1,
        "Mistake": 1,
        "Alternatively": 1,
        "Check": 1,
    }
    assert counts["thought_words"] == [(12, 12, 1)]


def test_the_card_shows_counts_and_samples_and_escapes_what_models_write(tmp_path):
    evil = kept(tmp_path, thought="<script>alert(1)</script> | two")
    [paths] = write(tmp_path / "dataset", [evil])
    config = BridgeConfig(mllm=EndpointConfig(model="mllm-name"))
    counts = tally_of([evil, dropped(tmp_path, 1)])
    markdown, page = write_card(
        tmp_path / "dataset", counts, config, [(evil, paths)], num_read=3, num_bad=1
    )
    text, shown = markdown.read_text(), page.read_text()
    assert "| sources | 3 | 2 |" in text
    assert "| wrong_answer | 1 | 1 |" in text
    assert f"(images/{paths[0].name})" in text
    assert "<script>" not in shown
    assert "data:image/png;base64," in shown


def test_progress_tells_the_time_left(tmp_path):
    now = [0.0]
    progress = Progress(BridgeConfig(progress_seconds=10), num_rows=100, clock=lambda: now[0])
    assert progress.add(kept(tmp_path)) == ""
    now[0] = 60.0
    line = progress.add(kept(tmp_path))
    assert line.startswith("rows 2/100 | kept 2 | 0.0 rows/s | requests 6 new, 0 from the store")
    assert line.endswith("49:00 left")


def test_the_audit_counts_what_the_ledger_says(tmp_path):
    figure = RectangleFigure(colour="red", width=2, height=3, left=0, top=0)
    metadata = {"figure": figure_to_json(figure)}
    ledger = tmp_path / "ledger.jsonl"
    lines = [
        {"reply_id": "g", "connection": "", "fault": "", "answer": "2"},
        {"reply_id": "l", "connection": "", "fault": "leaked_answer", "answer": "2"},
        {"reply_id": "m", "connection": "", "fault": "", "answer": "4"},
        {"reply_id": "x", "connection": "500", "fault": "", "answer": ""},
    ]
    ledger.write_text("".join(json.dumps(line) + "\n" for line in lines))
    faults, num_requests = read_ledger(ledger)
    assert num_requests == 4

    def outcome(reply_id, width, rules=()):
        thought = f"Rectangle: {width} wide, 3 high. The answer is 2."
        made = kept(tmp_path, thought=thought, metadata=metadata)
        [candidate] = made.candidates
        candidate = replace(candidate, reply_id=reply_id, dropped_by=rules)
        return replace(made, candidates=(candidate,), kept=None if rules else 0)

    found = audit(
        [
            outcome("g", 2),  # good and kept, drawing read right
            outcome("g", 5),  # good and kept, drawing misread
            outcome("g", 2, ("looping",)),  # good and lost
            outcome("l", 2),  # at fault and kept
            outcome("m", 2, ("wrong_answer",)),  # wrong since the figure was misread
        ],
        faults,
    )
    assert found["precision"] == 2 / 3
    assert found["recall"] == 2 / 3
    assert found["by_fault"]["wrong_by_misreading"] == {"kept": 0, "dropped": 1}
    assert found["drawing"] == {"agrees": 2, "differs": 1}
    assert found["drawing_consistency"] == 2 / 3
