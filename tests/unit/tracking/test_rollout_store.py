import io
import json
from dataclasses import replace

import pytest
from PIL import Image

from vr1_ray.tracking import RolloutStore, load_groups, saved_steps
from vr1_ray.types import EncodedImage, Prompt, Rollout, RolloutGroup, Stage, TokenSpan


def picture(colour):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(buffer, format="PNG")
    return EncodedImage.from_bytes(buffer.getvalue())


def group(name, step=12, colour="red"):
    prompt = Prompt(
        prompt_id=name,
        question="<image>How many?",
        images=(picture(colour),),
        answer="3",
        metadata={"family": "count"},
    )
    full = Rollout(
        index=0, attempt=1, seed=7, status="finished", response_ids=(5, 9, 2), text="<think> é </think>\u2028",
        rollout_logprobs=(-0.1, -1 / 3, -1e-9), policy_logprobs=(-0.1, -0.3, 0.0), ref_logprobs=(-0.2, -0.3, 0.0),
        version_spans=(TokenSpan(policy_version=11, start=0, end=3),), reward=1.0, reward_parts={"format": 1.0},
        advantage=0.7,
    )  # fmt: skip
    bare = Rollout(index=1, attempt=0, seed=8, status="truncated", response_ids=(5,), text="")
    return RolloutGroup(
        prompt=prompt, step=step, stage=Stage(number=1, max_response_tokens=96, group_size=2, steps=30),
        policy_version=11, prompt_ids=(1, 4, 4, 8), rollouts=(full, bare), generate_seconds=1.5, reward_seconds=0.25,
    )  # fmt: skip


def test_saved_groups_are_read_back_equal(tmp_path):
    groups = [group("a"), group("b", colour="blue")]
    RolloutStore(tmp_path, save="all").save(groups)
    assert load_groups(tmp_path, 12) == groups
    assert saved_steps(tmp_path) == [12]


def test_an_image_is_stored_once_by_its_hash(tmp_path):
    groups = [group("a"), group("b"), group("c", step=13)]
    RolloutStore(tmp_path, save="all").save(groups)
    [file] = (tmp_path / "rollouts" / "images").iterdir()
    assert file.name == picture("red").content_hash + ".png"
    assert file.read_bytes() == picture("red").data


def test_sampled_keeps_the_same_few_groups_in_whatever_order_they_come(tmp_path):
    groups = [group(name) for name in "abcdef"]
    RolloutStore(tmp_path / "one", save="sampled", groups_per_step=2).save(groups)
    RolloutStore(tmp_path / "two", save="sampled", groups_per_step=2).save(groups[::-1])
    one, two = load_groups(tmp_path / "one", 12), load_groups(tmp_path / "two", 12)
    assert len(one) == 2
    assert {item.prompt.prompt_id for item in one} == {item.prompt.prompt_id for item in two}


def test_none_saves_nothing(tmp_path):
    RolloutStore(tmp_path, save="none").save([group("a")])
    assert not (tmp_path / "rollouts").exists()


def test_a_step_saved_again_replaces_the_first(tmp_path):
    store = RolloutStore(tmp_path, save="all")
    store.save([group("a")])
    again = replace(group("a"), policy_version=12)
    store.save([again])
    assert load_groups(tmp_path, 12) == [again]


def test_a_step_that_was_not_saved_is_refused_with_those_that_were(tmp_path):
    RolloutStore(tmp_path, save="all").save([group("a")])
    with pytest.raises(
        ValueError, match=r"step: 13 has no saved rollouts .* saved are steps 12 to 12"
    ):
        load_groups(tmp_path, 13)


def test_an_image_name_in_a_changed_file_cannot_leave_the_folder(tmp_path):
    RolloutStore(tmp_path, save="all").save([group("a")])
    path = tmp_path / "rollouts" / "step_000012.jsonl"
    row = json.loads(path.read_text())
    row["prompt"]["images"] = ["../../secret.png"]
    path.write_text(json.dumps(row) + "\n")
    (tmp_path / "secret.png").write_bytes(b"x")
    with pytest.raises(FileNotFoundError):
        load_groups(tmp_path, 12)
