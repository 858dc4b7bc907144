"""In what order the prompts are trained: seeded, epoch after epoch without end, resumable to the exact prompt.

Each epoch is a shuffle made from (seed, epoch) and holds every prompt once; where its rest does not fill a batch, the
next epoch fills it up. So after any number of batches no prompt was given more than once oftener than another. A batch
holds no prompt twice, because groups are found by prompt id: what the rest of the old epoch holds comes in the new one
right behind that batch.

Two positions are kept: `next` moves the submitted one, `mark_trained` lets the trained one follow. Batches
between them are in flight; after a resume they come again.
"""

import hashlib
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from vr1_ray.types import Prompt
from vr1_ray.wording import counted


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """How far an epoch has come, and what its beginning owes to the batch that it shares with the epoch before.

    Example:
        Position(epoch=1, given=1, shared=(4, 9), filled=1)  # 4 and 9 ended epoch 0; one of epoch 1 made three of them
    """

    epoch: int = 0
    given: int = 0  # prompts of the epoch, from its beginning
    shared: tuple[int, ...] = ()  # indices of the prompts that the epoch before put into the batch
    filled: int = 0  # prompts that this epoch put into it


class PromptSampler:
    """Gives batches of prompts.

    Example:
        sampler = PromptSampler(prompts, seed=0)
        batch = sampler.next(16)      # submitted: in flight
        sampler.mark_trained()        # the oldest batch in flight is trained
        state = sampler.state_dict()  # a sampler loaded from it gives the batch after that one
    """

    def __init__(self, prompts: Sequence[Prompt], seed: int) -> None:
        if not prompts:
            raise ValueError("data.train: no prompts to sample from; give a dataset with rows")
        self.prompts = prompts
        self.seed = seed
        self._submitted = self._trained = Position()
        self._in_flight: deque[tuple[int, Position]] = deque()  # size and end of each batch
        self._num_trained = 0
        self._order: list[int] = []  # of the submitted epoch; empty: not made yet

    def next(self, num_prompts: int) -> list[Prompt]:
        """The next `num_prompts` different prompts; they count as in flight."""
        if not 1 <= num_prompts <= len(self.prompts):
            raise ValueError(
                f"prompts_per_step: {num_prompts} is not between 1 and the {counted(len(self.prompts), 'prompt')} of "
                "data.train; lower it, or give more rows"
            )
        batch = self._take(num_prompts)
        missing = num_prompts - len(batch)
        if missing:
            self._submitted = Position(
                epoch=self._submitted.epoch + 1, shared=tuple(batch), filled=missing
            )
            self._order = []
            batch += self._take(missing)
        self._in_flight.append((num_prompts, self._submitted))
        return [self.prompts[index] for index in batch]

    def peek(self, num_prompts: int) -> list[Prompt]:
        """What `next` would give, which stays as it is."""
        before = self._submitted, self._order
        batch = self.next(num_prompts)
        self._in_flight.pop()
        self._submitted, self._order = before
        return batch

    def mark_trained(self, num_batches: int = 1) -> None:
        """The oldest `num_batches` in flight are trained: a resume goes on behind them."""
        for _ in range(num_batches):
            size, self._trained = self._in_flight.popleft()
            self._num_trained += size

    @property
    def num_trained(self) -> int:
        """Prompts trained, repeats counted."""
        return self._num_trained

    @property
    def num_pending(self) -> int:
        """Prompts submitted and not yet trained."""
        return sum(size for size, _ in self._in_flight)

    def state_dict(self) -> dict[str, Any]:
        """Everything as plain Python; `trained` is where a resumed run goes on."""
        return {
            "seed": self.seed,
            "fingerprint": self._fingerprint(),
            "num_trained": self._num_trained,
            "num_pending": self.num_pending,
            "trained": asdict(self._trained),
            "submitted": asdict(self._submitted),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on behind the last trained batch. Raises ValueError if the data or the seed changed."""
        if state["seed"] != self.seed:
            raise ValueError(
                f"seed: {self.seed} is not the checkpoint's {state['seed']}; resume with the same seed, "
                "or start a new run"
            )
        if state["fingerprint"] != self._fingerprint():
            raise ValueError(
                f"data.train: its {len(self.prompts)} prompts are not those the checkpoint was trained on; "
                "resume with the same data, or start a new run"
            )
        trained = state["trained"]
        self._trained = Position(**trained | {"shared": tuple(trained["shared"])})
        self._submitted = self._trained
        self._order = []
        self._in_flight.clear()
        self._num_trained = state["num_trained"]

    def _take(self, most: int) -> list[int]:
        """The next prompts of the submitted epoch, by index: `most`, or what is left of it."""
        at = self._submitted
        if not self._order:
            self._order = self._order_of(at)
        taken = self._order[at.given : at.given + most]
        self._submitted = replace(at, given=at.given + len(taken))
        return taken

    def _order_of(self, at: Position) -> list[int]:
        """The epoch's shuffle, `filled` prompts that are not among `shared` first."""
        order = list(range(len(self.prompts)))
        random.Random(f"{self.seed}/{at.epoch}").shuffle(order)
        shared = set(at.shared)
        first = [index for index in order if index not in shared][: at.filled]
        is_first = set(first)
        return first + [index for index in order if index not in is_first]

    def _fingerprint(self) -> str:
        ids = "\n".join(prompt.prompt_id for prompt in self.prompts)
        return hashlib.sha256(ids.encode()).hexdigest()[:16]
