"""What the next step needs, made in a thread while the present one runs: token ids, and pictures that must travel."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from vr1_ray.types import Prompt

Made = TypeVar("Made")


class Ahead(Generic[Made]):
    """Makes one thing of each prompt, by `make`, always in the same thread, one after the other.

    What was begun for other prompts than those that are taken is forgotten: after a run went back to an earlier step
    it is made again, and comes out the same.

    Example:
        ahead = Ahead(adapter.render)
        ahead.begin(sampler.peek(16))            # returns at once
        rendered = ahead.take(sampler.next(16))  # waits for what is not made yet
    """

    def __init__(self, make: Callable[[Prompt], Made]) -> None:
        self._make = make
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._begun: dict[str, Future[Made]] = {}

    def begin(self, prompts: Sequence[Prompt]) -> None:
        """Make these next; what goes wrong is raised where they are taken."""
        for prompt in prompts:
            if prompt.prompt_id not in self._begun:
                self._begun[prompt.prompt_id] = self._thread.submit(self._make, prompt)

    def take(self, prompts: Sequence[Prompt]) -> list[Made]:
        """What was made of each, in order. Raises what `make` raised."""
        self.begin(prompts)
        begun, self._begun = self._begun, {}
        return [begun[prompt.prompt_id].result() for prompt in prompts]

    def close(self) -> None:
        """Drop what is not made yet."""
        self._thread.shutdown(wait=False, cancel_futures=True)
