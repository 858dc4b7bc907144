"""Reward inputs for the tests of this folder."""

import io

from PIL import Image

from vr1_ray.types import EncodedImage, Prompt, RewardInput, Rollout, Stage

GOOD = "<think> 1 + 2 </think><answer> Final Answer:3 </answer>"


def png(size=(2, 1), colour=(255, 0, 0)):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, format="PNG")
    return EncodedImage.from_bytes(buffer.getvalue())


def reward_input(
    response=GOOD,
    answer="3",
    finished=True,
    *,
    ids=(1,),
    index=0,
    prompt_id="9f0c",
    images=(),
    max_response_tokens=8,
    question="How many?",
):
    rollout = Rollout(
        index=index,
        attempt=0,
        seed=1,
        status="finished" if finished else "truncated",
        response_ids=tuple(ids),
        text=response,
    )
    return RewardInput(
        prompt=Prompt(
            prompt_id=prompt_id,
            question="<image>" * len(images) + question,
            images=tuple(images),
            answer=answer,
            metadata={"family": "count"},
        ),
        response=response,
        finished=finished,
        rollout=rollout,
        stage=Stage(number=2, max_response_tokens=max_response_tokens, group_size=1, steps=1),
        step=12,
    )
