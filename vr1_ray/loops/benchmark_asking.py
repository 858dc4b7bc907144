"""Asking a benchmark's questions: again where the protocol says so, responses as rows to keep, a line of progress."""

import time
from collections.abc import Callable, Iterable, Iterator

from vr1_ray.evaluation import paper
from vr1_ray.evaluation.responses import Response
from vr1_ray.types import Prompt, RolloutGroup

PROGRESS_SECONDS = 10.0


def answered(
    prompts: list[Prompt],
    sample: Callable[[list[Prompt], int], Iterable[RolloutGroup]],
    *,
    max_asked: int,
) -> Iterator[tuple[RolloutGroup, int]]:
    """Each prompt's group, as it is settled, and how many times it was asked.

    `sample(prompts, attempt)` gives a group a prompt, with other seeds at each attempt. With `max_asked` above 1,
    which is protocol "paper", those without the format are asked again; the last attempt counts whatever it is.
    """
    for attempt in range(max_asked):
        again: list[Prompt] = []
        for group in sample(prompts, attempt):
            if attempt + 1 < max_asked and paper.wants_another(group.rollouts[0].text):
                again.append(group.prompt)
            else:
                yield group, attempt + 1
        prompts = again


def responses_of(question_id: str, group: RolloutGroup, times_asked: int) -> list[Response]:
    """What is kept of a question's responses."""
    return [
        Response(
            question_id=question_id,
            sample=rollout.index,
            response=rollout.text,
            tokens=rollout.num_tokens,
            is_cut=not rollout.is_finished,
            times_asked=times_asked,
        )
        for rollout in group.rollouts
    ]


class Progress:
    """A line every ten seconds and one at the end."""

    def __init__(self, name: str, *, total: int, todo: int) -> None:
        self.name, self.total, self.todo, self.done = name, total, todo, 0
        self.began = self.told = time.monotonic()

    def one_more(self) -> None:
        self.done += 1
        now = time.monotonic()
        if now - self.told < PROGRESS_SECONDS and self.done < self.todo:
            return
        self.told = now
        rate = self.done / max(now - self.began, 1e-9)
        left = (self.todo - self.done) / rate
        answered = self.total - self.todo + self.done
        print(
            f"{self.name}: {answered} of {self.total} answered, {rate:.1f} a second, {left:.0f} s left",
            flush=True,
        )
