"""Cold-start demonstrations: one question, its pictures and one response. Vision-R1-cold's both forms, and more.

    {"id": ..., "image": "a/b.png",  "conversations": [{"from": "human", "value"}, {"from": "gpt", "value"}]}
    {"images": "a/b.png" or [..],    "conversations": [{"from": "user", ...}, {"from": "assistant", ...}]}
    {"images": [..],                 "messages": [{"role": "user", "content"}, {"role": "assistant", "content"}]}
    {"images": [..],                 "query": ..., "response": ...}

The forms may stand in one run, or in one file; they are read as prompts are (rows.py). A system text, column or
turn, is left out and counted in the log: the run's own `model.system_prompt` rules.
"""

from collections.abc import Callable
from dataclasses import replace

from vr1_ray.config import DataConfig
from vr1_ray.config.objects import NO_OBJECTS, Objects, named
from vr1_ray.data.prompt_ids import number_duplicates
from vr1_ray.data.reading import read_table
from vr1_ray.data.refusals import DataError
from vr1_ray.data.rows import DEMONSTRATIONS
from vr1_ray.data.tables import open_table
from vr1_ray.types import Demonstration
from vr1_ray.wording import counted

_FIELD = "data.demonstrations"


def load_demonstrations(config: DataConfig, objects: Objects = NO_OBJECTS) -> list[Demonstration]:
    """All demonstrations of `data.demonstrations`, in order. Raises DataError.

    `objects` are the sources that were handed over from Python.
    """
    if not config.demonstrations:
        raise DataError(f"{_FIELD}: empty; give one or more files with conversations")
    demonstrations: list[Demonstration] = []
    for source in config.demonstrations:
        left = config.max_rows - len(demonstrations) if config.max_rows else None
        if left != 0:
            given = named(source, objects, _FIELD)
            table = open_table(
                given, config.split, _FIELD, config.revision, streaming=config.streaming
            )
            rows = read_table(table, config, DEMONSTRATIONS, _FIELD, left)
            demonstrations += [
                Demonstration(
                    prompt=row.prompt,
                    response=row.response,
                    reference=row.reference,
                    source=f"{source}, {row.place}",
                )
                for row in rows
            ]
    prompts = number_duplicates(item.prompt for item in demonstrations)
    return [
        replace(item, prompt=prompt) for item, prompt in zip(demonstrations, prompts, strict=True)
    ]


def drop_overlong(
    demonstrations: list[Demonstration], length_of: Callable[[Demonstration], int], cutoff_len: int
) -> tuple[list[Demonstration], int]:
    """The demonstrations of at most `cutoff_len` tokens, prompt and response, and the number dropped.

    A longer one is never cut: without its `</answer>` it would teach to think without end.
    """
    kept = [item for item in demonstrations if length_of(item) <= cutoff_len]
    if demonstrations and not kept:
        raise DataError(
            f"data.cutoff_len: {cutoff_len} leaves none of {counted(len(demonstrations), 'demonstration')}; raise the limit"
        )
    return kept, len(demonstrations) - len(kept)
