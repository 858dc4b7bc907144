"""What the next step needs is made while the present one runs, and is the same as if it were made when asked for."""

import threading

import pytest

from vr1_ray.data import Ahead, PromptSampler
from vr1_ray.types import Prompt

PROMPTS = [Prompt(prompt_id=str(n), question=f"{n}?") for n in range(5)]


def test_what_was_begun_is_made_before_it_is_asked_for():
    made = threading.Event()

    def make(prompt):
        made.set()
        return prompt.question

    ahead = Ahead(make)
    ahead.begin(PROMPTS[:1])
    assert made.wait(10)
    assert ahead.take(PROMPTS[:2]) == ["0?", "1?"]
    ahead.close()


def test_an_error_is_raised_where_the_thing_is_taken():
    ahead = Ahead(lambda prompt: 1 // int(prompt.prompt_id))
    ahead.begin(PROMPTS[:2])
    with pytest.raises(ZeroDivisionError):
        ahead.take(PROMPTS[:2])
    assert ahead.take(PROMPTS[1:2]) == [1]
    ahead.close()


def test_each_thing_is_made_once_and_forgotten_when_others_are_taken():
    calls = []
    ahead = Ahead(lambda prompt: calls.append(prompt.prompt_id))
    ahead.begin(PROMPTS[:2])
    ahead.take(PROMPTS[:2])
    ahead.begin(PROMPTS[2:4])
    ahead.take(PROMPTS[:1])  # the run went back
    ahead.take(PROMPTS[2:4])
    assert calls == ["0", "1", "2", "3", "0", "2", "3"]
    ahead.close()


def test_a_peek_gives_the_next_batch_and_changes_nothing_also_over_the_end_of_an_epoch():
    sampler, other = PromptSampler(PROMPTS, seed=1), PromptSampler(PROMPTS, seed=1)
    for _ in range(7):
        before = sampler.state_dict()
        peeked = sampler.peek(3)
        assert sampler.state_dict() == before
        assert peeked == sampler.next(3) == other.next(3)
        sampler.mark_trained()
        other.mark_trained()
