"""How many demonstrations a cold start's updates have: whole epochs, so that each is seen as often as every other."""

from collections import Counter

import pytest

from vr1_ray.config import RunConfig
from vr1_ray.config.demand import num_updates, rows_of_update
from vr1_ray.data import PromptSampler
from vr1_ray.types import Prompt


def sizes(num_rows: int, **settings) -> list[int]:
    config = RunConfig(kind="sft", **settings)
    updates = num_updates(config, num_rows)
    return [rows_of_update(config, num_rows, update) for update in range(1, updates + 1)]


def test_the_last_update_takes_what_the_epochs_have_left():
    assert sizes(63, prompts_per_step=32, num_epochs=2) == [32, 32, 32, 30]
    assert sizes(64, prompts_per_step=32, num_epochs=2) == [32, 32, 32, 32]
    assert sizes(1800, prompts_per_step=16, num_epochs=2) == [16] * 225
    assert sizes(33, prompts_per_step=32, num_epochs=1) == [32, 1]
    assert sizes(10, prompts_per_step=4, num_epochs=1.5) == [4, 4, 4, 3]


def test_a_number_of_steps_is_as_many_whole_updates():
    assert sizes(63, prompts_per_step=32, num_epochs=2, max_steps=3) == [32, 32, 32]


@pytest.mark.parametrize(
    ("num_rows", "size", "epochs"), [(63, 32, 2), (33, 32, 3), (7, 7, 2), (50, 16, 1)]
)
def test_after_whole_epochs_every_demonstration_was_seen_as_often(num_rows, size, epochs):
    prompts = [Prompt(prompt_id=f"p{n}", question="?") for n in range(num_rows)]
    sampler = PromptSampler(prompts, seed=42)
    seen = Counter(
        prompt.prompt_id
        for rows in sizes(num_rows, prompts_per_step=size, num_epochs=epochs)
        for prompt in sampler.next(rows)
    )
    assert seen == {prompt.prompt_id: epochs for prompt in prompts}
