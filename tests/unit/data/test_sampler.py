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
