"""A bridging run that keeps nothing is a failure that names its cause, and can be started again."""

import pytest

from tests.unit.bridging.builders import dropped, kept, row
from vr1_ray.bridging.intake import Intake
from vr1_ray.bridging.output import OutcomeLog
from vr1_ray.bridging.rows import Outcome, to_json
from vr1_ray.config import BridgeConfig
from vr1_ray.loops.bridge_loop import _write, summary_lines

REFUSED = (
    "pseudo_cot_failed: mllm: gave up after 5 attempts: APIConnectionError: Connection refused"
)


def no_reply(folder, index):
    return Outcome(row=row(folder, index), failed=REFUSED, failed_at="pseudo_cot")


def written(folder, outcomes):
    intake = Intake(
        path=folder / "rows.jsonl",
        num_read=len(outcomes),
        num_rows=len(outcomes),
        num_bad=0,
        offsets=(),
    )
    log = OutcomeLog(folder / "outcomes.jsonl", len(outcomes))
    for outcome in outcomes:
        log.add(outcome.row.index, to_json(outcome))
    return _write(BridgeConfig(), intake, folder, log)


def test_a_run_where_every_request_failed_is_a_failure_with_its_cause(tmp_path):
    with pytest.raises(
        RuntimeError, match="none of 3 rows was kept, 3 for this cause: pseudo_cot"
    ) as raised:
        written(tmp_path, [no_reply(tmp_path, index) for index in range(3)])
    assert "Connection refused" in str(raised.value)
    assert not (tmp_path / "dataset").exists()
    assert sum(1 for _ in (tmp_path / "dropped.jsonl").open()) == 3


def test_a_run_whose_rules_drop_every_chain_is_a_failure_too(tmp_path):
    with pytest.raises(
        RuntimeError, match="none of 2 rows was kept, 2 for this cause: wrong_answer"
    ):
        written(tmp_path, [dropped(tmp_path, index) for index in range(2)])


def test_an_earlier_dataset_outlives_a_run_that_keeps_nothing(tmp_path):
    written(tmp_path, [kept(tmp_path, 0)])
    with pytest.raises(RuntimeError):
        written(tmp_path, [no_reply(tmp_path, 0)])
    assert (tmp_path / "dataset" / "demonstrations_llava.json").is_file()


def test_rows_without_a_reply_are_told_with_what_asks_for_them_again(tmp_path):
    summary = written(tmp_path, [kept(tmp_path, 0), no_reply(tmp_path, 1)])
    assert any("1 row got no reply; remove result.json" in line for line in summary_lines(summary))
