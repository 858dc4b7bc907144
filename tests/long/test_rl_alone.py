"""`vr1 rl` alone, in a process of its own: what it says, what it leaves, and a reward and a curriculum of one's own.

The reward raises once, the curriculum ends the run early: both are told, and the card says what was done.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
CONFIG = """
kind: rl
name: alone
runs_folder: runs
prompts_per_step: 2
allow_base_policy: true
model: {{path: {model}, max_model_len: 256}}
data: {{train: rows.jsonl, max_prompt_tokens: 128}}
rollout: {{engine: hf, num_cpus_per_engine: 0.1}}
algorithm: {{name: dr_grpo, kl_coef: 0.0}}
rewards: [{{name: "mine:mine"}}]
trainer: {{num_cpus_per_worker: 0.1, num_threads: 1}}
reward_pools: {{default: {{num_cpus_per_actor: 0.1}}}}
invalid_rollouts: {{max_rate: 0.5}}
curriculum: {{name: "mine:Early", stages: [{{max_response_tokens: 8, group_size: 2, steps: 4}}]}}
cluster: {{address: local, num_cpus: 2}}
"""
MINE = """
from vr1_ray.curriculum import Ptst

def mine(item):
    if (item.step, item.rollout.index, item.rollout.attempt) == (2, 1, 0) and item.prompt.answer == "3":
        raise KeyError("answer")
    return float(len(item.response) % 2)

class Early(Ptst):
    def observe(self, step, metrics):
        super().observe(step, metrics)
        if step == 2:
            self.leave_stage(1, reason="enough")
"""


def test_a_run_alone_tells_what_happens_and_leaves_state_curves_report_and_card(tmp_path):
    (tmp_path / "rl.yaml").write_text(CONFIG.format(model=ROOT / "examples/vr1_tiny/model"))
    (tmp_path / "mine.py").write_text(MINE)
    rows = [{"problem": "a: how many?", "answer": "3"}, {"problem": "b: how many?", "answer": "4"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = subprocess.run(
        [sys.executable, "-m", "vr1_ray.cli", "rl", "rl.yaml"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{tmp_path}"},
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    run = tmp_path / "runs" / "alone"
    for told in (
        "starting trainer ranks: 1, hf engines: 1, reward actors: 1",
        "ALARM step 2: reward 'mine:mine' failed at ",
        "KeyError: 'answer'",
        " | invalid 1 | ",
        "note: stage 1 ended after 2 of 4 steps: enough",
        "note: the curriculum ends the run after step 2 of 4",
        "policy       runs/alone/policy\n",
        "report       runs/alone/report.html\n",
        "next: vr1 generate runs/alone/policy ",
    ):
        assert told in done.stdout, told
    assert "accuracy" not in done.stdout  # which this reward does not measure
    assert json.loads((run / "state.json").read_text())["state"] == "finished"
    assert "raise KeyError" in (run / "logs" / "reward_errors.log").read_text()
    assert (run / "curves.png").is_file()
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step_000002"]
    card = (run / "policy" / "README.md").read_text()
    assert "Dr. GRPO under mine:Early." in card
    assert "| stages | 8 tokens x 2, 2 of 4 steps |" in card
    modes = {path.name: path.stat().st_mode for path in (run / "policy").iterdir()}
    assert len(set(modes.values())) == 1, modes
    result = json.loads((run / "result.json").read_text())
    assert (result["num_steps"], result["early_ends"]) == (
        2,
        ["stage 1 ended after 2 of 4 steps: enough"],
    )
