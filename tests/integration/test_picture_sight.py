"""A cluster of two nodes, one of which does not see the pictures: they are sent to it as bytes, and the run says so."""

import os

import pytest
import ray
from ray.cluster_utils import Cluster

from vr1_ray.actors.cluster import nodes_without
from vr1_ray.actors.fleet import Fleet
from vr1_ray.config import RunConfig
from vr1_ray.data.stored import StoredFile
from vr1_ray.encoded_image import content_hash
from vr1_ray.types import EncodedImage, Prompt

PICTURE = b"the bytes of a picture"


@pytest.fixture(scope="module")
def two_nodes():
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "num_gpus": 0})
    cluster.add_node(num_cpus=1, num_gpus=0)
    ray.init(address=cluster.address, log_to_driver=False)
    yield
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def seen_here_alone(tmp_path):
    """The path of a file that this process sees and no other: it is open here and has no name any more."""
    path = tmp_path / "picture.png"
    path.write_bytes(PICTURE)
    with path.open("rb") as file:
        path.unlink()
        yield f"/proc/self/fd/{file.fileno()}"


def prompt_of(path: str) -> Prompt:
    source = StoredFile(path=path, where="data.train: rows.jsonl, row 0")
    image = EncodedImage(content_hash=content_hash(PICTURE), source=source, size=(8, 6))
    return Prompt(prompt_id="a", question="<image>?", images=(image,))


def make_fleet(notes: list[str]) -> Fleet:
    fleet = Fleet(RunConfig(kind="rl", name="sight"))
    fleet.note = notes.append
    return fleet


def test_where_every_node_sees_the_files_prompts_keep_their_references(two_nodes, tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(PICTURE)
    fleet = make_fleet(notes := [])
    fleet.place_pictures([prompt := prompt_of(str(path))])
    assert notes == ["pictures are read where they are used: every node sees their files"]
    assert fleet.for_actors([prompt])[0] is prompt


def test_where_a_node_does_not_see_them_prompts_are_given_the_bytes(two_nodes, seen_here_alone):
    size = os.stat(seen_here_alone).st_size
    [lacks] = nodes_without({seen_here_alone: size}).values()
    assert lacks == seen_here_alone
    fleet = make_fleet(notes := [])
    fleet.place_pictures([prompt := prompt_of(seen_here_alone)])
    assert notes[0].startswith("pictures are sent from here as bytes: ")
    assert notes[0].endswith(f"does not see {seen_here_alone}")
    [sent] = fleet.for_actors([prompt])
    remote = ray.remote(lambda prompt: prompt.images[0].data).options(num_cpus=1)
    assert ray.get([remote.remote(sent) for _ in range(2)], timeout=60) == [PICTURE] * 2


def test_a_fleet_whose_prompts_have_no_files_says_nothing(two_nodes):
    fleet = make_fleet(notes := [])
    held = EncodedImage.from_bytes(PICTURE)
    fleet.place_pictures([Prompt(prompt_id="a", question="<image>?", images=(held,))])
    assert notes == []
    assert fleet.sight.sends is False
