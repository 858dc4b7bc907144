"""A node that joins a running cluster is asked whether it sees the pictures, as those that were there at the start."""

from types import SimpleNamespace

import pytest
import ray
from ray.cluster_utils import Cluster
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tests.integration.reward_pools import STAGE
from tests.integration.test_picture_sight import (  # noqa: F401  (a fixture)
    PICTURE,
    make_fleet,
    prompt_of,
    seen_here_alone,
)
from vr1_ray.actors.rollouts.invalid_rollouts import InvalidRollouts
from vr1_ray.actors.rollouts.rollout_pool import RolloutPool
from vr1_ray.config import InvalidRolloutsConfig
from vr1_ray.types import Rollout, RolloutGroup, SamplingSpec


@pytest.fixture
def one_node():
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "num_gpus": 0})
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_a_node_that_joins_later_is_asked_and_given_the_bytes_if_it_does_not_see_the_files(
    one_node,
    seen_here_alone,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    monkeypatch.setattr("vr1_ray.actors.cluster.LOOK_SECONDS", 0.0)
    path = tmp_path / "seen_by_all.png"
    path.write_bytes(PICTURE)
    seen, blind = make_fleet(seen_notes := []), make_fleet(blind_notes := [])
    seen.place_pictures([by_all := prompt_of(str(path))])
    blind.place_pictures([by_one := prompt_of(seen_here_alone)])
    assert blind.for_actors([by_one])[0] is by_one
    one_node.add_node(num_cpus=1, num_gpus=0)
    one_node.wait_for_nodes()
    assert seen.for_actors([by_all])[0] is by_all
    [sent] = blind.for_actors([by_one])
    assert sent.images[0].held == PICTURE
    assert len(seen_notes) == 1
    [_, said] = blind_notes
    assert said.startswith("pictures are sent from here as bytes: ")
    assert said.endswith(f"does not see {seen_here_alone}")


class ReadsPictures:
    """What an engine's actor does with a prompt: it opens the picture where it runs."""

    def generate_group(self, prompt, spec, stage, step, attempt, indices, rendered):
        rollout = Rollout(
            index=0,
            attempt=0,
            seed=0,
            status="finished",
            response_ids=(1,),
            text=prompt.images[0].data.decode(),
        )
        return RolloutGroup(
            prompt=prompt,
            step=step,
            stage=stage,
            policy_version=0,
            prompt_ids=(1,),
            rollouts=(rollout,),
        )


def test_a_prompt_that_was_submitted_before_the_node_joined_comes_to_its_engine_with_the_bytes(
    one_node,
    seen_here_alone,  # noqa: F811
    monkeypatch,
):
    monkeypatch.setattr("vr1_ray.actors.cluster.LOOK_SECONDS", 0.0)
    fleet = make_fleet([])
    fleet.place_pictures([prompt := prompt_of(seen_here_alone)])
    engines = SimpleNamespace(
        serving=[],
        engines=[],
        version=0,
        pending=[],
        next_deadline=1e12,
        tick=lambda: None,
    )
    pool = RolloutPool(
        engines,
        [],
        max_concurrent_responses=8,
        timeout_seconds=60,
        invalid=InvalidRollouts(InvalidRolloutsConfig()),
        prepare=fleet.for_actors,
    )
    spec = SamplingSpec(max_response_tokens=4, group_size=1)
    pool.submit([prompt], spec, STAGE, 1)
    late = one_node.add_node(num_cpus=1, num_gpus=0)
    one_node.wait_for_nodes()
    actor = (
        ray.remote(ReadsPictures)
        .options(
            num_cpus=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(late.node_id, soft=False),
        )
        .remote()
    )
    engines.serving = engines.engines = [
        SimpleNamespace(index=0, size=1, actor=actor, name="late engine")
    ]
    [group] = pool.collect(1)
    assert group.rollouts[0].text == PICTURE.decode()
