"""Groups become training rows."""

import pytest

from vr1_ray.training.rows import num_tokens, unit_of_group
from vr1_ray.types import EncodedImage, Prompt, Rollout, RolloutGroup, Stage


def group(advantage: float | None) -> RolloutGroup:
    image = EncodedImage.from_bytes(b"png")
    rollout = Rollout(
        index=0,
        attempt=0,
        seed=7,
        status="finished",
        response_ids=(5, 6),
        text="x",
        rollout_logprobs=(-0.1, -0.2),
        advantage=advantage,
    )
    return RolloutGroup(
        prompt=Prompt(prompt_id="p", question="<image>?", images=(image,), answer="1"),
        step=1,
        stage=Stage(number=1, max_response_tokens=8, group_size=1, steps=1),
        policy_version=0,
        prompt_ids=(1, 4, 4),
        rollouts=(rollout,),
    )


def test_a_group_becomes_rows_with_all_the_trainer_needs():
    (row,) = unit_of_group(group(0.5), temperature=1.0)
    assert row.row_id == "p/0"
    assert (row.prompt_ids, row.response_ids) == ((1, 4, 4), (5, 6))
    assert (row.advantage, row.rollout_logprobs) == (0.5, (-0.1, -0.2))
    assert row.image_hashes == (EncodedImage.from_bytes(b"png").content_hash,)
    assert num_tokens([row]) == 5


def test_a_group_without_advantages_is_refused():
    with pytest.raises(ValueError, match="prompt p: rollout 0 has no advantage"):
        unit_of_group(group(None), temperature=1.0)
