"""kill -9 of everything that samples and scores, and `vr1 scale`, in one run on a cluster of two nodes.

The run must end as an undisturbed one: every prompt of every step trained once, the same responses, and on
CPU in fp32 the same weights to the last bit. A gate in the reward keeps a step open while a test breaks
things, so each fault meets a known moment and is repaired within its step.
"""

import json

import psutil
import pytest
from ray.cluster_utils import Cluster

from tests.faults.live_run import (
    LIMIT,
    ROOT,
    LiveRun,
    below,
    engine_core_of,
    kill,
    raylet_of,
    until_gone,
    weights_of,
)
from vr1_ray.figure_math.dataset import write_dataset

pytestmark = [pytest.mark.ray, pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(LIMIT * 6)]

STEPS, PROMPTS = 7, 4
ACTOR = "ray::RolloutActor"


def config(folder, figures):
    path = folder / "run.yaml"
    path.write_text(f"""
kind: rl
name: run
runs_folder: {folder}
prompts_per_step: {PROMPTS}
allow_base_policy: true
model: {{path: {ROOT}/examples/vr1_tiny/model, max_model_len: 224}}
data: {{train: {figures}, max_prompt_tokens: 96}}
trainer:
  {{num_workers: 1, num_cpus_per_worker: 0.5, num_threads: 1, max_tokens_per_micro_batch: 512,
    optimizer: {{lr: 1.0e-3}}}}
rollout:
  {{num_engines: 1, num_cpus_per_engine: 0.3, num_threads: 1, kv_cache_gib: 0.1, save: all, verify_weights: true,
    health: {{probe_seconds: 2, recovery_seconds: {LIMIT}}}}}
reward_pools: {{default: {{num_actors: 2, num_cpus_per_actor: 0.1, timeout_seconds: {LIMIT}}}}}
algorithm: {{kl_coef: 0.0}}
rewards: [{{name: "tests.faults.gate:Gate", options: {{file: {folder}/closed}}}}]
curriculum:
  stages:
    - {{max_response_tokens: 64, group_size: 6, steps: 3}}
    - {{max_response_tokens: 96, group_size: 4, steps: {STEPS - 3}}}
eval: {{data: {figures}, split: test, every_steps: 4, max_response_tokens: 96}}
checkpoint: {{every_steps: 0, keep_best: false}}
cluster: {{start_timeout_seconds: {LIMIT}, step_timeout_seconds: {LIMIT}}}
""")
    return path


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    write_dataset(folder, seed=0, num_train=64, num_validation=8, num_test=8, num_demonstrations=8)
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, figures):
    folder = tmp_path_factory.mktemp("undisturbed")
    live = LiveRun(folder, config(folder, figures), "cluster.address=local", "cluster.num_cpus=2")
    try:
        live.end()
    finally:
        live.kill()
    return live


@pytest.fixture
def cluster():
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False}
    )
    yield cluster
    cluster.shutdown()


class Breaker:
    """Breaks parts of one live run, and waits until they are mended."""

    def __init__(self, live, cluster):
        self.live, self.cluster = live, cluster
        self.gate = live.folder / "closed"
        self.raylets = [raylet_of(cluster.head_node)]
        self.seen = set()  # engine cores, all that ever were
        self.restarts = 0

    def find(self, title):
        return [process for raylet in self.raylets for process in below(raylet, title)]

    def engines(self):
        """The rollout actors, each with the vLLM below it, when all of them serve."""
        actors = self.find(ACTOR)
        cores = [engine_core_of(actor) for actor in actors]
        self.seen.update(cores)
        return list(zip(actors, cores, strict=True))

    def mended(self, lost):
        """So many engines were lost: until all serve again. Then the step may end."""
        self.restarts += lost
        self.live.until_said("is started anew", self.restarts)
        self.live.until_said("serves again", self.restarts)

    def scale(self, number, said):
        """Ask for so many engines while the step is held open, and let the run answer at its next one."""
        self.live.scale("--engines", str(number), "--wait", "0")
        self.gate.unlink()
        self.live.until_said(said)
        self.gate.touch()

    def until_training(self):
        """The engines are idle, and the trainer is at work."""
        title = "ray::TrainerActor.train_step"
        self.live.until("training", lambda: self.find(title), every=0.01)


def test_whatever_is_killed_or_scaled_the_run_ends_as_if_nothing_had_happened(
    undisturbed, cluster, figures, tmp_path
):
    live = LiveRun(tmp_path, config(tmp_path, figures), f"cluster.address={cluster.address}")
    try:
        breaker = Breaker(live, cluster)
        grow_and_lose_engines(breaker)
        lose_others_and_shrink(breaker)
        live.end()
    finally:
        live.kill()
    compare(undisturbed, live)


def grow_and_lose_engines(breaker):
    """From one engine to three on two nodes; then two of them die at once, busy, and two idle."""
    live, gate = breaker.live, breaker.gate
    gate.touch()
    live.until("scoring", lambda: breaker.find("ray::RewardActor.score"))
    node = breaker.cluster.add_node(num_cpus=1)
    breaker.raylets.append(raylet_of(node))
    breaker.scale(3, said="engines: 1 -> 3: vr1 scale")  # now in step 2
    live.until_said("joins", 2)
    assert below(raylet_of(node), ACTOR), "no engine was placed on the new node"

    (first, _), (_, second_core), _ = breaker.engines()
    gate.unlink()
    live.until_step(2)  # busy: an actor, and the vLLM below another one
    kill(first)
    kill(second_core)
    gate.touch()
    breaker.mended(2)

    (_, first_core), (second, _), _ = breaker.engines()
    gate.unlink()
    breaker.until_training()  # idle: they are missed at the weight sync
    kill(first_core)
    kill(second)
    gate.touch()
    breaker.mended(2)


def lose_others_and_shrink(breaker):
    """An engine in an evaluation, a reward actor, a node with all that is on it; then one engine is left."""
    live, gate = breaker.live, breaker.gate
    (first, _), *_ = breaker.engines()
    gate.unlink()
    live.until_step(4)  # in an evaluation
    kill(first)
    gate.touch()
    breaker.mended(1)
    scoring = live.until("scoring", lambda: breaker.find("ray::RewardActor.score"))
    kill(scoring[0])  # busy
    live.until_said("the actor is started again")

    breaker.engines()
    lost = len(below(breaker.raylets[-1], ACTOR))
    assert lost, "no engine is on the node to be lost"
    gate.unlink()
    live.until_step(5)  # a whole node, while it samples
    kill(psutil.Process(breaker.raylets.pop()))
    gate.touch()
    breaker.mended(lost)

    breaker.engines()
    breaker.scale(1, said="engines: 3 -> 1: vr1 scale")
    live.until("two engines less", lambda: len(breaker.find(ACTOR)) == 1)
    gate.unlink()
    live.end()
    until_gone("a vLLM process", breaker.seen)


def compare(undisturbed, live):
    """Counts, responses, rewards and weights."""
    rows = live.rows()
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert [row["policy_version"] for row in rows] == list(range(STEPS))
    assert (
        max(row["logprob_diff/max"] for row in rows) < 1e-3
    )  # each engine has the trainer's weights
    assert sum(row["engines/regenerated_groups"] for row in rows) > 0
    assert all(row["invalid/rollouts"] == 0 for row in rows)
    for step in range(1, STEPS + 1):
        expected, found = groups_of(undisturbed, step), groups_of(live, step)
        assert len(found) == len({group["prompt"] for group in found}) == PROMPTS
        assert found == expected
    expected, found = evaluation_of(undisturbed), evaluation_of(live)
    assert found == expected
    expected, found = (weights_of(one.folder / "run") for one in (undisturbed, live))
    assert [name for name in expected if not found[name].equal(expected[name])] == []


def groups_of(live, step):
    """What of a step's saved rollouts must be equal."""
    path = live.folder / "run" / "rollouts" / f"step_{step:06d}.jsonl"
    groups = [json.loads(line) for line in path.read_text().splitlines()]
    same = ("index", "attempt", "seed", "status", "response_ids", "reward", "advantage")
    return [
        {
            "prompt": group["prompt"]["prompt_id"],
            "version": group["policy_version"],
            "rollouts": [{key: one[key] for key in same} for one in group["rollouts"]],
        }
        for group in groups
    ]


def evaluation_of(live):
    """The judged responses of the evaluation that an engine was lost in."""
    path = live.folder / "run" / "evaluations" / "step_000004.json"
    return json.loads(path.read_text())["rows"]
