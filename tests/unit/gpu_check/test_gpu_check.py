"""`make gpu-check`: every part is told of, whatever the machine has and however it ends."""

import ast
import json
import math
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from examples.gpu_check import __main__ as command
from examples.gpu_check.bench import Bench, CheckFailedError
from examples.gpu_check.machine import Gpu, Machine
from examples.gpu_check.running import left_out, run_part, run_parts
from examples.gpu_check.scoring import LIMITS, differences, require_close
from examples.gpu_check.table import PARTS, Part, chosen, why_not

ROOT = Path(__file__).parents[3]
PACKAGES = dict.fromkeys(("torch", "transformers", "deepspeed", "ray", "vllm"), "1.0")
GPU = Gpu(name="a GPU", total_gib=24.0, free_gib=23.5, capability="9.0")
BARE = Machine(packages=PACKAGES | {"torch": "2.13.0+cpu"}, cpus=2, host_gib=24.0)
ROWS = ("good", "bad", "raises", "absent", "vital", "never")


def part(target, rows=("good", "bad", "never"), **settings):
    return Part(
        name="broken",
        target=f"tests.unit.gpu_check.broken_parts:{target}",
        seconds=settings.pop("seconds", 60.0),
        rows={row: f"shows {row}" for row in rows},
        **settings,
    )


def outcome(made, folder):
    bench = Bench(
        device="cpu",
        gpus=1,
        gib=0.0,
        host_gib=24.0,
        packages=PACKAGES,
        folder=folder,
        seconds=made.seconds,
    )
    return {row.row: row for row in run_part(made, bench)}


def test_each_part_names_a_function_that_is_there_and_rows_of_its_own():
    names = [row for one in PARTS for row in one.rows]
    assert len(set(names)) == len(names)
    for one in PARTS:
        module, _, function = one.target.partition(":")
        source = ROOT / "examples" / "gpu_check" / "parts" / f"{module}.py"
        found = {node.name for node in ast.parse(source.read_text()).body if hasattr(node, "name")}
        assert function in found, one.target


def test_a_word_chooses_parts_by_their_name_by_a_row_or_by_the_beginning_of_one():
    def names(*words):
        return [one.name for one in chosen(words)]

    assert names() == [one.name for one in PARTS]
    assert names("zero") == ["zero"]
    assert names("kill") == ["fleet"]
    assert names("parity", "sync") == ["engine", "engine_fp32", "fleet", "broadcast"]
    with pytest.raises(ValueError, match=r"PARTS: 'par' is no part .*engine.*parity"):
        chosen(["par"])


@pytest.mark.parametrize(
    ("changes", "gpus", "why"),
    [
        ({}, 1, r"^no GPU: torch 2\.13\.0\+cpu sees none$"),
        ({"gpus": (GPU,)}, 1, r"^$"),
        ({"gpus": (GPU,)}, 2, r"^GPUS=2, but torch sees 1$"),
        ({"gpus": (replace(GPU, total_gib=16.0),)}, 1, r"^needs a GPU of 22 GiB, .* has 16\.0$"),
        ({"packages": {"torch": "2"}}, 1, r"^deepspeed, ray is not installed; `make setup GPU=1`$"),
        ({"problem": "torch could not be asked"}, 1, r"^torch could not be asked$"),
    ],
)
def test_a_part_tells_why_it_is_not_possible(changes, gpus, why):
    [wide] = chosen(["model_3b"])
    found = why_not(wide, replace(BARE, **changes), device="cuda", gpus=gpus)
    assert re.search(why, found), found


def test_a_broadcast_needs_two_gpus_and_on_cpu_none():
    [broadcast] = chosen(["broadcast"])
    machine = replace(BARE, gpus=(GPU, GPU))
    assert why_not(broadcast, machine, device="cuda", gpus=1) == "needs 2 GPUs; run it with GPUS=2"
    assert why_not(broadcast, machine, device="cuda", gpus=2) == ""
    assert why_not(broadcast, BARE, device="cpu", gpus=1) == ""


def test_without_a_gpu_it_runs_to_the_end_and_says_of_each_row_why(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "look", lambda: BARE)
    output = tmp_path / "gpu_check.json"
    code = command.main(["--folder", str(tmp_path / "work"), "--output", str(output)])
    assert code == 0
    told = json.loads(output.read_text())
    wanted = {(one.name, row) for one in PARTS for row in one.rows}
    assert {(row["part"], row["row"]) for row in told["rows"]} == wanted
    assert {(row["status"], row["cause"]) for row in told["rows"]} == {
        ("left out", "no GPU: torch 2.13.0+cpu sees none")
    }
    assert {"format", "vr1_ray", "when", "device", "gpus", "machine", "seconds"} <= told.keys()
    assert Machine.of_json(told["machine"]) == BARE
    printed = capsys.readouterr().out
    assert all(f" {row} " in printed for _, row in wanted)
    assert f"{len(wanted)} rows: 0 passed, 0 failed, {len(wanted)} left out" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parts", "nothing"], "'nothing' is no part"),
        (["--gpus", "0"], "'0' is no number of GPUs"),
    ],
)
def test_a_mistake_on_the_command_line_is_told_before_anything_is_looked_at(
    arguments, message, monkeypatch, capsys
):
    monkeypatch.setattr(command, "look", lambda: pytest.fail("it was looked at"))
    try:
        code = command.main(arguments)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert message in capsys.readouterr().err


def test_each_row_of_a_part_has_a_result_of_its_own(tmp_path):
    found = outcome(part("mixed", ROWS), tmp_path)
    assert {name: row.status for name, row in found.items()} == {
        "good": "passed",
        "bad": "failed",
        "raises": "failed",
        "absent": "left out",
        "vital": "failed",
        "never": "left out",
    }
    assert found["good"].figures == {"device": "cpu"}
    assert found["bad"].figures == {"found": 2.5}
    assert found["bad"].cause == "2.5 is beyond the limit of 1"
    assert found["raises"].cause == "KeyError: 'missing'"
    assert found["absent"].cause == "this machine has no such thing"
    assert found["vital"].cause == "ValueError: no engine"
    assert found["never"].cause == "not reached: the part ended at vital"


def test_a_crash_costs_the_row_it_came_in_and_tells_the_signal_and_the_last_words(tmp_path):
    found = outcome(part("crashes"), tmp_path)
    assert [row.status for row in found.values()] == ["passed", "failed", "left out"]
    assert found["bad"].cause.startswith(
        "its process was ended by SIGKILL; its last line: about to go"
    )
    assert found["never"].cause == "not reached: the part ended at bad"


def test_an_error_before_any_row_is_the_first_rows(tmp_path):
    found = outcome(part("raises_outside"), tmp_path)
    assert found["good"].status == "failed"
    assert "ended with 1; its last line: RuntimeError: no row had begun" in found["good"].cause
    assert {found["bad"].status, found["never"].status} == {"left out"}


@pytest.mark.slow
def test_a_part_that_hangs_is_ended_with_all_it_started_and_the_next_one_runs(tmp_path):
    shown = []
    began = time.monotonic()
    rows = run_parts(
        [part("hangs", seconds=1.0), replace(part("crashes"), name="next")],
        BARE,
        device="cpu",
        gpus=1,
        folder=tmp_path,
        seconds=600.0,
        show=shown.append,
    )
    assert time.monotonic() - began < 30.0
    assert rows == shown
    assert [row.status for row in rows] == ["passed", "failed", "left out"] * 2
    assert rows[1].cause.startswith("did not end within 3 s")
    assert rows[1].seconds > 0.0
    left = Path("/proc") / (tmp_path / "broken" / "left").read_text() / "stat"
    assert not left.exists() or left.read_text().split()[2] == "Z"  # it runs no more


def test_parts_that_would_begin_too_late_are_left_out_and_say_how_to_run_them(tmp_path):
    rows = run_parts(
        [part("mixed")],
        BARE,
        device="cpu",
        gpus=1,
        folder=tmp_path,
        seconds=5.0,
        show=lambda row: None,
    )
    assert {row.status for row in rows} == {"left out"}
    assert "run it alone: PARTS=broken" in rows[0].cause
    assert rows == left_out(part("mixed"), rows[0].cause)


def test_differences_are_over_all_tokens_of_all_rows():
    found = differences([(-1.0, -2.0), (-3.0,)], [(-1.5, -2.0), (-4.0,)])
    assert found == pytest.approx({"mean": 0.5, "p99": 0.99, "max": 1.0, "tokens": 3})


@pytest.mark.parametrize("name", ["mean", "p99"])
def test_a_figure_beyond_its_limit_or_no_number_fails_by_name(name):
    require_close({"mean": 0.0, "p99": 0.0, "max": 0.0}, LIMITS["float32"])
    for value in (1.0, math.nan):
        with pytest.raises(CheckFailedError, match=rf"\({name}\), limit"):
            require_close({name: value}, LIMITS["float32"])


def test_a_whole_3b_is_taken_where_it_fits_and_the_optimizer_stays_where_it_can(tmp_path):
    from examples.gpu_check.bench import NotPossibleError
    from examples.gpu_check.parts.model_3b import _choose
    from vr1_ray.types import Stage

    stage = Stage(number=1, max_response_tokens=512, group_size=8, steps=2)

    def choose(gib, host_gib):
        bench = Bench(
            device="cuda",
            gpus=1,
            gib=gib,
            host_gib=host_gib,
            packages=PACKAGES,
            folder=tmp_path,
            seconds=60.0,
        )
        shape, config = _choose(bench, stage)
        return shape.num_layers, config.trainer.offload_optimizer

    assert choose(139.0, 128.0) == (36, False)
    assert choose(79.0, 128.0) == (36, True)
    assert choose(79.0, 24.0)[0] < 36  # neither GPU nor host holds the states of all layers
    with pytest.raises(NotPossibleError, match="not even 6 layers fit"):
        choose(8.0, 24.0)
