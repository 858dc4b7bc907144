"""What a prompt is known by: the hash of question, images and answer.

A row that comes twice keeps both places: the second gets `-1`, the third `-2`, because groups are found by id and
seeds are made from it.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from vr1_ray.types import EncodedImage, Prompt


def make_prompt(
    question: str,
    images: tuple[EncodedImage, ...],
    answer: str,
    metadata: dict[str, Any] | None = None,
) -> Prompt:
    """A prompt with the id that its content gives it."""
    content = json.dumps([question, [image.content_hash for image in images], answer])
    prompt_id = hashlib.sha256(content.encode()).hexdigest()[:16]
    return Prompt(
        prompt_id=prompt_id,
        question=question,
        images=images,
        answer=answer,
        metadata=metadata or {},
    )


def number_duplicates(prompts: Iterable[Prompt]) -> list[Prompt]:
    """The same prompts with different ids: a repeated one gets `-1`, `-2` ... in order."""
    seen: Counter[str] = Counter()
    numbered = []
    for prompt in prompts:
        count = seen[prompt.prompt_id]
        seen[prompt.prompt_id] += 1
        numbered.append(
            replace(prompt, prompt_id=f"{prompt.prompt_id}-{count}") if count else prompt
        )
    return numbered
