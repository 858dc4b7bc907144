"""A node that joins a running cluster is asked whether it sees the pictures, as those that were there at the start."""

import pytest
import ray
from ray.cluster_utils import Cluster

from tests.integration.test_picture_sight import (  # noqa: F401  (a fixture)
    PICTURE,
    make_fleet,
    prompt_of,
    seen_here_alone,
)


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
