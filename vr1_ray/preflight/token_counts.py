"""How many tokens each row has, remembered between starts by what the row and the tokenizer are.

    tokens_FINGERPRINT_CODE.json     {"9f0c2d...": [312, 0], ...}      prompt and response, by id (and the response's hash)

Rows that are not known are counted here, or, where there are many, in processes that load the processor for it.
"""

import hashlib
import json
import logging
import pickle
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from functools import lru_cache
from pathlib import Path

from vr1_ray.config import ModelConfig
from vr1_ray.data.row_index import code_version
from vr1_ray.data.stored import put_in_place
from vr1_ray.data.workers import Workers, num_workers
from vr1_ray.models import ModelAdapter, load_adapter
from vr1_ray.types import Demonstration, Prompt

log = logging.getLogger(__name__)

MANY_ROWS = 10_000  # a worker more is worth its start (seconds) from so many on
CHUNK_ROWS = 256

Item = Prompt | Demonstration
Lengths = tuple[int, int]  # tokens of the prompt, and of the response


class TokenCounts:
    """Counts tokens of prompts, and of demonstrations with their responses, each content once.

    Example:
        counts = TokenCounts("runs/data_index", config.model, adapter)
        counts.add(prompts)
        counts.of(prompts[0])         # 312
        counts.lengths(prompts[0])    # (312, 0): it has no response
    """

    def __init__(self, folder: str, model: ModelConfig, adapter: ModelAdapter) -> None:
        self.model = model
        self.adapter = adapter
        counted_by = adapter.fingerprint() if folder else ""
        name = f"tokens_{counted_by}_{code_version()}.json"  # the code says how large a picture is
        self.path = Path(folder) / name if counted_by else None
        self.known = self._read()

    def add(self, items: Sequence[Item]) -> None:
        """Count those that are not known, and remember them all. Raises ValueError naming a row with forbidden text."""
        unknown = [item for item in items if _key(item) not in self.known]
        number = min(num_workers(), len(unknown) // MANY_ROWS)
        if number > 1:
            self._count_there(unknown, number)
        else:
            for item in unknown:
                self.lengths(item)
        if unknown:
            self._save()

    def of(self, item: Item) -> int:
        """Tokens of a prompt, image placeholders expanded; of a demonstration with its response."""
        return sum(self.lengths(item))

    def lengths(self, item: Item) -> Lengths:
        """Tokens of the prompt, and of the response."""
        key = _key(item)
        if key not in self.known:
            self.known[key] = lengths_of(item, self.adapter)
        return self.known[key]

    def _count_there(self, items: Sequence[Item], number: int) -> None:
        model = pickle.dumps(self.model)
        starts = deque(range(0, len(items), CHUNK_ROWS))
        with Workers(number) as workers:
            under_way = deque[tuple[Sequence[Item], Future[list[Lengths]]]]()
            while starts or under_way:
                while starts and len(under_way) < 2 * number:
                    start = starts.popleft()
                    chunk = items[start : start + CHUNK_ROWS]
                    under_way.append((chunk, workers.submit(count_there, model, chunk)))
                chunk, result = under_way.popleft()
                found = result.result()
                self.known |= zip(map(_key, chunk), found, strict=True)

    def _read(self) -> dict[str, Lengths]:
        if self.path is None or not self.path.is_file():
            return {}
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            log.warning("%s can't be read (%s); tokens are counted again", self.path, error)
            return {}
        return {key: (prompt, response) for key, (prompt, response) in found.items()}

    def _save(self) -> None:
        """What another start has written meanwhile is kept."""
        if self.path is None:
            return
        try:
            put_in_place(self.path, json.dumps(self._read() | self.known).encode())
        except OSError as error:
            log.warning("data.index_folder: %s can't be written (%s)", self.path, error)


def lengths_of(item: Item, adapter: ModelAdapter) -> Lengths:
    """Tokens of a row's prompt, and of its response if it has one. Raises ValueError for text that no prompt or response may hold."""
    if isinstance(item, Prompt):
        return len(adapter.render(item).prompt_ids), 0
    response = adapter.encode_response(item.response)
    return len(adapter.render(item.prompt).prompt_ids), len(response)


def count_there(model: bytes, items: Sequence[Item]) -> list[Lengths]:
    """`lengths_of` in a worker."""
    adapter = _adapter(model)
    return [lengths_of(item, adapter) for item in items]


@lru_cache(maxsize=1)
def _adapter(model: bytes) -> ModelAdapter:
    return load_adapter(pickle.loads(model))


def _key(item: Item) -> str:
    if isinstance(item, Prompt):
        return item.prompt_id
    response = hashlib.blake2b(item.response.encode(), digest_size=8).hexdigest()
    return f"{item.prompt.prompt_id}/{response}"
