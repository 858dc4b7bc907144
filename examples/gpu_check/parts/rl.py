"""The quickstart's cold start and RL step on this machine's device, by the command line, as a user runs them.

Settings are those of configs/quickstart.yaml but for the device, the placement and the number of steps. The base
model answers without thinking; the cold start teaches it the format, and ten RL steps must raise the reward.
"""

import json
import math
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from examples.gpu_check.bench import Bench, CheckFailedError
from examples.gpu_check.fleets import disagreement
from examples.gpu_check.scoring import LIMITS, require_close
from vr1_ray.config import (
    CheckpointConfig,
    ClusterConfig,
    EvalConfig,
    RewardSpec,
    RunConfig,
    StageConfig,
    load_config,
    recipe_runs,
    save_config,
)
from vr1_ray.figure_math.dataset import write_dataset

QUICKSTART = Path(__file__).parents[3] / "configs" / "quickstart.yaml"
NAME = "quickstart"


def check(bench: Bench) -> None:
    """The rows `cold_start` and `rl_step`."""
    changes = [f"runs_folder={bench.folder / 'runs'}", f"name={NAME}"]
    runs = {run.name: run for run in recipe_runs(load_config(QUICKSTART, changes))}
    with bench.row("cold_start", is_vital=True) as figures:
        sft = _placed(bench, runs[f"{NAME}/cold_start"])
        write_dataset(
            bench.folder / "runs" / NAME / "figure_math",
            num_train=bench.pick(cpu=64, gpu=1000),
            num_validation=8,
            num_test=8,
            num_demonstrations=bench.pick(cpu=64, gpu=1800),
        )
        rows = run(bench, replace(sft, max_steps=bench.pick(cpu=1, gpu=0)))
        figures |= {"updates": len(rows), "dtype": bench.dtype}
        figures |= {"loss_first": rows[0]["loss"], "loss_last": rows[-1]["loss"]}
        _require_finite(rows, "loss")
        if bench.is_gpu and not rows[-1]["loss"] < 0.5 * rows[0]["loss"]:
            raise CheckFailedError("the loss did not fall to half")
    with bench.row("rl_step") as figures:
        _rl(bench, _placed(bench, runs[f"{NAME}/rl"]), figures)


def _rl(bench: Bench, config: RunConfig, figures: dict[str, Any]) -> None:
    stage = StageConfig(
        max_response_tokens=bench.pick_sampled(few=24, many=112),
        group_size=bench.pick_sampled(few=4, many=16),
        steps=bench.pick_sampled(few=1, many=10),
    )
    config.curriculum.stages = [stage]
    if not bench.samples_fast:  # too short for the format: any reward that varies will do
        config = replace(
            config, prompts_per_step=2 * bench.gpus, rewards=[RewardSpec(name="soft_format_result")]
        )
    rows = run(bench, config)
    last = rows[-1]
    figures |= {"steps": len(rows), "dtype": bench.dtype, "engine": config.rollout.engine}
    figures |= {"transport": config.rollout.weight_transport}
    figures |= {
        "reward_first": rows[0]["reward/mean"],
        "reward_last_3": fmean(row["reward/mean"] for row in rows[-3:]),
        "tokens_per_second": last["tokens_per_second"],
    }
    figures |= {f"{name}_seconds": last[f"time/{name}"] for name in ("generate", "train", "sync")}
    worst = [disagreement(row) for row in rows]
    figures |= {name: max(one[name] for one in worst) for name in worst[0]}
    _require_finite(rows, "loss", "grad_norm")
    require_close(figures, LIMITS[bench.dtype])
    if len(rows) != stage.steps:
        raise CheckFailedError(f"{len(rows)} steps of {stage.steps}")
    if bench.samples_fast and not figures["reward_last_3"] > figures["reward_first"]:
        raise CheckFailedError("the reward did not rise in ten steps")


def _placed(bench: Bench, config: RunConfig) -> RunConfig:
    """A run of the quickstart on all devices of the check, engines on the trainer's."""
    gpu, cores = float(bench.is_gpu), bench.pick(cpu=0.2, gpu=0.5)
    is_ipc = bench.is_gpu and bench.engine == "vllm"
    return replace(
        config,
        model=replace(config.model, dtype=bench.dtype),
        trainer=replace(
            config.trainer,
            num_workers=bench.gpus,
            num_gpus_per_worker=gpu,
            num_cpus_per_worker=cores,
        ),
        rollout=replace(
            config.rollout,
            engine=bench.engine,
            num_engines=bench.gpus,
            num_gpus_per_engine=gpu,
            num_cpus_per_engine=cores,
            gpu_memory_utilization=0.3,
            weight_transport="ipc" if is_ipc else "object_store",
        ),
        reference=replace(
            config.reference,
            num_actors=bench.gpus,
            num_gpus_per_actor=gpu,
            num_cpus_per_actor=0.1,
        ),
        eval=EvalConfig(),
        checkpoint=CheckpointConfig(resume="never"),
        cluster=ClusterConfig(
            address="local",
            placement="colocated" if config.kind == "rl" else "apart",
            num_cpus=bench.pick(cpu=2, gpu=0),
            start_timeout_seconds=bench.seconds,
            step_timeout_seconds=bench.seconds,
        ),
    )


def run(bench: Bench, config: RunConfig) -> list[dict[str, Any]]:
    """Run `vr1 KIND` to its end; the rows of its metrics. Raises CheckFailedError with what it said."""
    path = bench.folder / f"{config.kind}.yaml"
    save_config(config, path)
    command = [sys.executable, "-m", "vr1_ray.cli", config.kind, str(path)]
    began = time.monotonic()
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=bench.seconds, check=False
    )
    print(done.stdout, done.stderr, f"{time.monotonic() - began:.0f} s", sep="\n", flush=True)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()
        cause = next((line for line in said if line.startswith("vr1:")), said[-1])
        raise CheckFailedError(
            f"vr1 {config.kind} ended with {done.returncode}: {cause}; logs: {config.folder}/logs"
        )
    lines = (config.folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def _require_finite(rows: list[dict[str, Any]], *names: str) -> None:
    for row in rows:
        for name in names:
            if row.get(name) is None or not math.isfinite(row[name]):  # null: was not finite
                raise CheckFailedError(f"step {row['step']}: {name} is {row.get(name)}")
