"""The order of prompts: seeded, fair to every row, the same after a resume."""

import json
from collections import Counter

import pytest

from vr1_ray.data import PromptSampler
from vr1_ray.types import Prompt

PROMPTS = [Prompt(prompt_id=f"p{n}", question="?", answer=str(n)) for n in range(10)]


def ids(batch):
    return [prompt.prompt_id for prompt in batch]


def test_an_epoch_gives_every_prompt_once_and_the_next_another_order():
    sampler = PromptSampler(PROMPTS, seed=1)
    first = ids(sampler.next(5) + sampler.next(5))
    second = ids(sampler.next(5) + sampler.next(5))
    assert sorted(first) == sorted(second) == ids(PROMPTS)
    assert first != second


def test_the_order_depends_on_the_seed_alone():
    assert ids(PromptSampler(PROMPTS, seed=1).next(10)) == ids(
        PromptSampler(PROMPTS, seed=1).next(10)
    )
    assert ids(PromptSampler(PROMPTS, seed=1).next(10)) != ids(
        PromptSampler(PROMPTS, seed=2).next(10)
    )


def test_no_batch_holds_a_prompt_twice():
    sampler = PromptSampler(PROMPTS, seed=3)
    for _ in range(50):
        assert len(set(ids(sampler.next(7)))) == 7


@pytest.mark.parametrize(
    ("num_rows", "size"), [(63, 32), (10, 7), (10, 9), (10, 10), (7, 3), (3, 2), (1, 1)]
)
def test_every_prompt_is_seen_equally_often_also_where_batches_do_not_fill_an_epoch(num_rows, size):
    prompts = [Prompt(prompt_id=f"p{n}", question="?", answer=str(n)) for n in range(num_rows)]
    sampler = PromptSampler(prompts, seed=5)
    seen = Counter()
    for batches in range(1, 8 * num_rows + 1):
        batch = ids(sampler.next(size))
        assert len(set(batch)) == size
        seen.update(batch)
        whole, begun = divmod(batches * size, num_rows)
        assert {seen[prompt.prompt_id] for prompt in prompts} <= {whole, whole + bool(begun)}


def test_a_last_batch_may_be_smaller_and_ends_the_epochs_evenly():
    prompts = [Prompt(prompt_id=f"p{n}", question="?", answer=str(n)) for n in range(63)]
    sampler = PromptSampler(prompts, seed=0)
    seen = Counter(name for size in (32, 32, 32, 30) for name in ids(sampler.next(size)))
    assert set(seen.values()) == {2}
    assert len(seen) == 63


def test_epochs_that_share_a_batch_are_still_shuffled_each_its_own_way():
    prompts = [Prompt(prompt_id=f"p{n}", question="?", answer=str(n)) for n in range(63)]
    sampler = PromptSampler(prompts, seed=0)
    drawn = [name for _ in range(63) for name in ids(sampler.next(32))]
    epochs = [drawn[start : start + 63] for start in range(0, len(drawn), 63)]
    tails = [set(epoch[-20:]) for epoch in epochs]
    assert len(set.intersection(*tails[:4])) < 5  # by chance 20 x (20/63)^3 = 0.6
    assert len({tuple(epoch) for epoch in epochs}) == len(epochs)


@pytest.mark.parametrize("num_before", range(1, 9))
def test_a_resume_within_a_batch_that_crosses_epochs_is_exact(num_before):
    sampler = PromptSampler(PROMPTS, seed=7)
    for _ in range(num_before):
        sampler.next(7)
        sampler.mark_trained()
    state = json.loads(json.dumps(sampler.state_dict()))
    sampler.next(7)  # in flight when the run ends
    resumed = PromptSampler(PROMPTS, seed=7)
    resumed.load_state_dict(state)
    undisturbed = PromptSampler(PROMPTS, seed=7)
    expected = [ids(undisturbed.next(7)) for _ in range(num_before + 12)][num_before:]
    assert [ids(resumed.next(7)) for _ in range(12)] == expected


def test_another_batch_size_after_a_resume_stays_fair():
    sampler = PromptSampler(PROMPTS, seed=7)
    seen = Counter()
    for _ in range(4):
        seen.update(ids(sampler.next(7)))
        sampler.mark_trained()
    resumed = PromptSampler(PROMPTS, seed=7)
    resumed.load_state_dict(sampler.state_dict())
    for _ in range(4):
        seen.update(ids(resumed.next(3)))
    assert set(seen.values()) == {4}  # 28 + 12 of 10 prompts


def test_a_resumed_sampler_goes_on_behind_the_last_trained_batch():
    sampler = PromptSampler(PROMPTS, seed=0)
    for _ in range(5):
        sampler.next(4)
        sampler.mark_trained()
    state = sampler.state_dict()
    expected = [ids(sampler.next(4)) for _ in range(6)]
    resumed = PromptSampler(PROMPTS, seed=0)
    resumed.load_state_dict(state)
    assert [ids(resumed.next(4)) for _ in range(6)] == expected
    assert resumed.num_trained == 20


def test_prompts_in_flight_come_again_after_a_resume():
    sampler = PromptSampler(PROMPTS, seed=0)
    sampler.next(3)
    in_flight = [ids(sampler.next(3)), ids(sampler.next(3))]
    sampler.mark_trained()
    assert sampler.num_pending == 6
    resumed = PromptSampler(PROMPTS, seed=0)
    resumed.load_state_dict(sampler.state_dict())
    assert [ids(resumed.next(3)), ids(resumed.next(3))] == in_flight


def test_other_data_or_another_seed_is_refused_at_resume():
    state = PromptSampler(PROMPTS, seed=0).state_dict()
    with pytest.raises(ValueError, match="seed: 1 is not the checkpoint's 0"):
        PromptSampler(PROMPTS, seed=1).load_state_dict(state)
    with pytest.raises(ValueError, match=r"data.train: its 9 prompts are not those"):
        PromptSampler(PROMPTS[1:], seed=0).load_state_dict(state)


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(
        ValueError, match="prompts_per_step: 11 is not between 1 and the 10 prompts"
    ):
        PromptSampler(PROMPTS, seed=0).next(11)
