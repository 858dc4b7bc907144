"""Random kills of every kind of part of a live run, and random `vr1 scale` commands: `make chaos MINUTES=30`.

A run at the size of the quickstart's RL step, on a cluster of two nodes; from its cold-started policy if
`make quickstart` has left one, else from the base model. After each loss it is waited until the run says that
the lost part is there again, then a random while. When the time is over the run is stopped by SIGTERM, done once
more undisturbed up to the same step, and compared: samples lost and duplicated, every response, the weights.

Writes runs/chaos/chaos.json and prints it as a table. Exit code 1 if anything was lost or differs.
"""

import argparse
import json
import random
import re
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import mean, median

import psutil
from ray.cluster_utils import Cluster

from tests.faults.chaos_report import compare, table
from tests.faults.hoarding import MEMORY_FILE, Hoards
from tests.faults.live_run import LIMIT, ROOT, LiveRun, below, engine_core_of, kill, raylet_of
from vr1_ray.figure_math.dataset import write_dataset

RUNS = ROOT / "runs"
QUICKSTART = RUNS / "quickstart"
FIRST_STAGE = 8  # steps; the second stage lasts until the end
NUM_ENGINES, MOST_ENGINES = 2, 3

# Title of an actor's process -> what the run says when a lost one is there again.
SAID = {
    "ray::RolloutActor": r"serves again",
    "ray::RewardActor": r"the actor is started again",
    "ray::ReferenceActor": r"reference \d+ was lost and started again",
    "ray::CurriculumActor": r"curriculum was lost and started again",
    "ray::TrainerActor": r"the trainer is there again",
}
KINDS = {
    "rollout actor": "ray::RolloutActor",
    "vLLM engine core": "ray::RolloutActor",
    "reward actor": "ray::RewardActor",
    "reference actor": "ray::ReferenceActor",
    "curriculum actor": "ray::CurriculumActor",
    "trainer rank": "ray::TrainerActor",
    "node": "",
    "driver": "",
    "out of memory": "",  # a reward takes memory until Ray kills it, or another of the run's actors
}
KILLED = r"was killed for want of memory"
HEADROOM = 10 * 2**30  # bytes that a run may use above what is used before it


def settings(policy: Path, figures: Path) -> list[str]:
    """What the run has beside configs/quickstart_rl.yaml: two of everything, and no limit on restarts."""
    many = 10_000
    chosen = [
        f"model.path={policy}",
        f"data.train={figures}",
        "trainer.num_workers=2",
        f"trainer.max_restarts={many}",
        f"trainer.collective_timeout_seconds={LIMIT}",
        f"rollout.num_engines={NUM_ENGINES}",
        "rollout.save=all",
        "rollout.verify_weights=true",
        f"rollout.health.max_restarts={many}",
        "rollout.health.restart_window_seconds=5",  # so that the delay of a restart does not grow
        "reward_pools.default.num_actors=2",
        "reference.num_actors=2",
        f"reference.max_restarts={many}",
        f"curriculum.max_restarts={many}",
        "checkpoint.every_steps=3",
        f"cluster.step_timeout_seconds={LIMIT}",
    ]
    reward = "hard_format"
    if policy.name == "model":  # the base model: only its answers are worth something
        chosen += ["allow_base_policy=true"]
        reward = "soft_format_result"
    hoards = f"{Hoards.__module__}:{Hoards.__name__}"
    options = f"options: {{file: {RUNS / MEMORY_FILE}}}"
    return [*chosen, f"rewards=[{{name: {reward}}}, {{name: '{hoards}', weight: 0, {options}}}]"]


def scarce_memory() -> dict[str, float | int]:
    """Settings of Ray's memory monitor: it kills when this machine uses much more than it does now."""
    memory = psutil.virtual_memory()
    threshold = min(0.9, (memory.total - memory.available + HEADROOM) / memory.total)
    return {"memory_usage_threshold": threshold, "memory_monitor_refresh_ms": 250}


def stages(steps: int) -> str:
    first = min(FIRST_STAGE, steps)
    second = steps - first
    listed = [f"{{max_response_tokens: 112, group_size: 16, steps: {first}}}"]
    listed += [f"{{max_response_tokens: 224, group_size: 8, steps: {second}}}"] if second else []
    return f"curriculum.stages=[{','.join(listed)}]"


class Chaos:
    """One live run, what is done to it, and how long each loss lasts."""

    def __init__(self, cluster: Cluster, chosen: list[str], seed: int, kinds: list[str]) -> None:
        self.cluster, self.chosen, self.kinds = cluster, chosen, kinds
        self.random = random.Random(seed)
        self.node = cluster.add_node(num_cpus=2)
        self.engines = NUM_ENGINES
        self.recoveries: dict[str, list[float]] = {kind: [] for kind in KINDS}
        self.scaled: list[str] = []
        self.last_step = self.redone = 0
        self.bag: list[str] = []
        self.live = self.start("chaos", 1_000_000)

    def start(self, name: str, steps: int) -> LiveRun:
        config = ROOT / "configs/quickstart_rl.yaml"
        address = f"cluster.address={self.cluster.address}"
        return LiveRun(RUNS, config, *self.chosen, stages(steps), address, name=name)

    def go_on(self, seconds: float, pause: float) -> None:
        """Break and scale until the time is over, at random moments."""
        self.wait_for(lambda: self.live.rows(), "the first step")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.rest(self.random.uniform(0, 2 * pause))
            if self.random.random() < 0.2:
                self.scale()
            else:
                self.lose(self.next_kind())

    def next_kind(self) -> str:
        """Each kind as often as the others, in random order."""
        if not self.bag:
            self.bag = self.random.sample(self.kinds, len(self.kinds))
        return self.bag.pop()

    def scale(self) -> None:
        number = self.random.choice([n for n in range(1, MOST_ENGINES + 1) if n != self.engines])
        text = self.live.scale("--engines", str(number))
        self.scaled.append(text)
        print(f"step {self.last_step}: {text}", flush=True)
        self.engines = number
        # A loss is measured from a settled set: one that is only starting would be found without a word.
        self.wait_for(lambda: len(self.find("ray::RolloutActor")) == number, text)
        self.wait_for(lambda: self.live.rows()[-1]["engines/healthy"] == number, text)

    def lose(self, kind: str) -> None:
        """Kill one part of this kind, and wait until it is there again."""
        began, mark = time.monotonic(), len(self.live.text())
        expected = self.kill_one(kind)
        if kind == "driver":
            self.live.start()
            self.engines = NUM_ENGINES  # what was scaled is not in the command
        if kind == "node":
            self.node = self.cluster.add_node(num_cpus=2)

        def is_back() -> bool:
            said = self.live.text()[mark:]
            return all(
                len(re.findall(what, said, re.MULTILINE)) >= n for what, n in expected.items()
            )

        self.wait_for(is_back, f"{kind}: {dict(expected)}")
        seconds = time.monotonic() - began
        self.recoveries[kind].append(seconds)
        print(f"step {self.last_step}: {kind} lost and there again in {seconds:.1f} s", flush=True)

    def kill_one(self, kind: str) -> Counter[str]:
        """Returns how often the run must say what."""
        if kind == "driver":
            kill(psutil.Process(self.live.process.pid))
            self.live.process.wait()
            return Counter([r"^step +\d+/"])  # the first step of the new one
        if kind == "node":
            raylet = raylet_of(self.node)
            counts = {title: len(below(raylet, title)) for title in SAID}
            counts["ray::TrainerActor"] = min(1, counts["ray::TrainerActor"])  # all are replaced
            kill(psutil.Process(raylet))
            return Counter({SAID[title]: number for title, number in counts.items() if number})
        if kind == "out of memory":
            (RUNS / MEMORY_FILE).touch()
            # Ray chooses whom it kills; all that it may choose are recovered, each with its own words.
            return Counter(["|".join(SAID.values())])
        chosen = self.random.choice(self.find(KINDS[kind]))
        kill(engine_core_of(chosen) if kind == "vLLM engine core" else chosen)
        return Counter([SAID[KINDS[kind]]])

    def find(self, title: str) -> list[psutil.Process]:
        raylets = [raylet_of(self.cluster.head_node), raylet_of(self.node)]
        return [process for raylet in raylets for process in below(raylet, title)]

    def rest(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.wait_for(lambda: time.monotonic() >= end, "a pause")

    def wait_for(self, is_true, what: str) -> None:
        def look():
            self.count_redone()
            return is_true()

        self.live.until(what, look)

    def count_redone(self) -> None:
        """Steps whose rows were taken back."""
        rows = self.live.rows()
        step = rows[-1]["step"] if rows else 0
        self.redone += max(0, self.last_step - step)
        self.last_step = step

    def stop(self) -> int:
        """SIGTERM; the number of steps done."""
        self.live.process.terminate()
        code = self.live.process.wait(timeout=LIMIT)
        assert code == 143, f"exit code {code}\n{self.live.text()[-3000:]}"
        self.count_redone()
        return self.last_step


def report(chaos: Chaos, steps: int, seconds: float) -> dict:
    """What chaos.json holds."""
    rows = chaos.live.rows()
    by_engines: dict[int, list[float]] = {}
    for row in rows:
        by_engines.setdefault(int(row["engines/healthy"]), []).append(row["tokens_per_second"])
    return {
        "kills": {kind: len(found) for kind, found in chaos.recoveries.items()},
        "killed_for_memory": len(re.findall(KILLED, chaos.live.text())),  # those that Ray tells of
        "recovery_seconds": {
            kind: {"median": round(median(found), 1), "max": round(max(found), 1)}
            for kind, found in chaos.recoveries.items()
            if found
        },
        "scale_commands": chaos.scaled,
        "steps": steps,
        "steps_redone": chaos.redone,
        "seconds": round(seconds),
        "tokens_per_second_by_engines": {
            number: round(mean(found)) for number, found in sorted(by_engines.items())
        },
        "engines_and_tokens_per_second": [
            [int(row["engines/healthy"]), round(row["tokens_per_second"])] for row in rows
        ],
        **compare(RUNS / "chaos", RUNS / "chaos_undisturbed", steps),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--pause", type=float, default=8.0, help="mean seconds between two events")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="what is lost"
    )
    asked = parser.parse_args()
    for name in ("chaos", "chaos_undisturbed"):
        shutil.rmtree(RUNS / name, ignore_errors=True)
        (RUNS / f"{name}.txt").unlink(missing_ok=True)
    policy, figures = QUICKSTART / "cold_start/policy", QUICKSTART / "figure_math"
    if not policy.is_dir():
        policy, figures = ROOT / "examples/vr1_tiny/model", RUNS / "chaos_figures"
        write_dataset(
            figures, seed=0, num_train=400, num_validation=8, num_test=8, num_demonstrations=8
        )
    print(f"from {policy}, for {asked.minutes:g} minutes", flush=True)
    RUNS.mkdir(exist_ok=True)
    (RUNS / MEMORY_FILE).unlink(missing_ok=True)
    nodes = {"num_cpus": 2, "include_dashboard": False, "_system_config": scarce_memory()}
    cluster = Cluster(initialize_head=True, head_node_args=nodes)
    began = time.monotonic()
    chaos = Chaos(cluster, settings(policy, figures), asked.seed, asked.kinds)
    try:
        chaos.go_on(asked.minutes * 60, asked.pause)
        steps = chaos.stop()
        seconds = time.monotonic() - began
        print(f"stopped after step {steps}; the same steps undisturbed", flush=True)
        undisturbed = chaos.start("chaos_undisturbed", steps)
        try:
            undisturbed.end(limit=LIMIT + 60 * steps)
        finally:
            undisturbed.kill()
    finally:
        chaos.live.kill()
        cluster.shutdown()
    found = report(chaos, steps, seconds)
    (RUNS / "chaos" / "chaos.json").write_text(json.dumps(found, indent=1) + "\n")
    print(table(found))
    wrong = ("samples_lost", "samples_duplicated", "samples_different")
    return int(any(found[name] for name in wrong) or not found["weights_identical"])


if __name__ == "__main__":
    sys.exit(main())
