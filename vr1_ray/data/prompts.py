"""Prompts to train or evaluate on: rows with a question, pictures and a reference answer.

A row has `images` (a list of `{bytes, path}` structs or of paths), `problem` with one `<image>` mark per
image, and `answer`; the names are configurable, other forms are known by their columns (forms.py), and every other
column goes to `Prompt.metadata`, so far as JSON can hold it. No pixel is decoded into memory to stay.
"""

from collections.abc import Callable
from typing import Any, Literal

from vr1_ray.config import DataConfig
from vr1_ray.data.images import ImageReader
from vr1_ray.data.prompt_ids import make_prompt, number_duplicates
from vr1_ray.data.reading import read_table
from vr1_ray.data.refusals import DataError
from vr1_ray.data.rows import PROMPTS, RowReader
from vr1_ray.data.tables import open_table
from vr1_ray.types import Prompt
from vr1_ray.wording import counted

__all__ = ["limit_prompts", "load_prompts", "make_prompt", "number_duplicates", "to_prompt"]


def load_prompts(
    config: DataConfig,
    source: Any,
    split: str,
    *,
    field: str = "data.train",
    max_images: int | None = None,
) -> list[Prompt]:
    """All prompts of a source, as `open_table` takes it, in its order. Raises DataError; `field` names the setting
    in its message.

    A row with more than `max_images` pictures can't be used: no engine would take it.
    """
    table = open_table(source, split, field, config.revision, streaming=config.streaming)
    rows = read_table(table, config, PROMPTS, field, config.max_rows or None, max_images=max_images)
    return number_duplicates(row.prompt for row in rows)


def to_prompt(row: dict[str, Any], config: DataConfig, images: ImageReader) -> Prompt:
    """One row as a prompt. Raises DataError with what is wrong with it."""
    return RowReader(config, PROMPTS, images).read(row).prompt


def limit_prompts(
    prompts: list[Prompt],
    length_of: Callable[[Prompt], int],
    max_prompt_tokens: int,
    policy: Literal["skip", "error"] = "skip",
) -> tuple[list[Prompt], int]:
    """The prompts of at most `max_prompt_tokens` tokens and the number of those left out.

    `length_of` counts tokens with the images' placeholders expanded, as the model adapter does. With
    policy "error" a single prompt that is too long raises DataError; nothing left raises it always.
    """
    kept, longest = [], 0
    for number, prompt in enumerate(prompts):
        length = length_of(prompt)
        longest = max(longest, length)
        if length <= max_prompt_tokens:
            kept.append(prompt)
        elif policy == "error":
            raise DataError(
                f"data.max_prompt_tokens: prompt {prompt.prompt_id} (row {number}) has {length} tokens, over "
                f"{max_prompt_tokens}; raise the limit, lower model.max_pixels, or set data.overlong_prompts=skip"
            )
    if prompts and not kept:
        raise DataError(
            f"data.max_prompt_tokens: {max_prompt_tokens} leaves none of {counted(len(prompts), 'prompt')}, the longest has "
            f"{longest} tokens; raise the limit or lower model.max_pixels"
        )
    return kept, len(prompts) - len(kept)
