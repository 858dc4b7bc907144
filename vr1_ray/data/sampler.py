"""In what order the prompts are trained: seeded, endless by epochs, resumable to the exact prompt.

Each epoch has its own order, made from (seed, epoch) alone. A batch holds no prompt twice, because groups
are found by prompt id: where the rest of an epoch does not fill a batch, the next epoch begins and the rest
has its turn in later orders.

Two positions are kept: `next` moves the submitted one, `mark_trained` lets the trained one follow. Batches
between them are in flight; after a resume they come again.
"""

import hashlib
import random
from collections import deque
from collections.abc import Sequence
from typing import Any

from vr1_ray.types import Prompt


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
        self._submitted = (0, 0)  # epoch, position in it
        self._trained = (0, 0)
        self._in_flight: deque[tuple[int, tuple[int, int]]] = deque()  # size and end of each batch
        self._num_trained = 0
        self._order: tuple[int, list[int]] | None = None  # the epoch last used and its order

    def next(self, num_prompts: int) -> list[Prompt]:
        """The next `num_prompts` different prompts; they count as in flight."""
        if not 1 <= num_prompts <= len(self.prompts):
            raise ValueError(
                f"prompts_per_step: {num_prompts} is not between 1 and the {len(self.prompts)} prompts of "
                "data.train; lower it, or give more rows"
            )
        epoch, position = self._submitted
        if position + num_prompts > len(self.prompts):
            epoch, position = epoch + 1, 0
        order = self._order_of(epoch)
        self._submitted = (epoch, position + num_prompts)
        self._in_flight.append((num_prompts, self._submitted))
        return [self.prompts[index] for index in order[position : position + num_prompts]]

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
            "trained": {"epoch": self._trained[0], "position": self._trained[1]},
            "submitted": {"epoch": self._submitted[0], "position": self._submitted[1]},
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
        self._trained = (state["trained"]["epoch"], state["trained"]["position"])
        self._submitted = self._trained
        self._in_flight.clear()
        self._num_trained = state["num_trained"]

    def metrics(self) -> dict[str, float]:
        return {"data/epoch": self._trained[0] + self._trained[1] / len(self.prompts)}

    def _order_of(self, epoch: int) -> list[int]:
        if self._order is None or self._order[0] != epoch:
            order = list(range(len(self.prompts)))
            random.Random(f"{self.seed}/{epoch}").shuffle(order)
            self._order = (epoch, order)
        return self._order[1]

    def _fingerprint(self) -> str:
        ids = "\n".join(prompt.prompt_id for prompt in self.prompts)
        return hashlib.sha256(ids.encode()).hexdigest()[:16]
