"""Prompts shown with a wrong picture: a grey one of the same size, or another prompt's scaled to that size.

All three forms of a prompt have as many image tokens, so whatever takes the prompt takes them, and what differs is what
can be seen.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from vr1_ray.types import EncodedImage, Prompt

if TYPE_CHECKING:
    from PIL import Image

GREY = (128, 128, 128)


@dataclass(frozen=True, kw_only=True, slots=True)
class Swapped:
    """A prompt with its own pictures, with grey ones, and with another prompt's.

    Example:
        [swapped] = swap_pictures(prompts, 1)
        swapped.grey.images[0].shown_size() == swapped.own.images[0].shown_size()
    """

    own: Prompt
    grey: Prompt
    other: Prompt


def swap_pictures(prompts: Sequence[Prompt], number: int) -> list[Swapped]:
    """At most `number` prompts, spread evenly over those with pictures, each beside its two wrong forms.

    One whose pictures no other of them differs from is left out.
    """
    seen = [prompt for prompt in prompts if prompt.images]
    number = min(number, len(seen))
    chosen = [seen[place * len(seen) // number] for place in range(number)]
    found = [
        _swapped(prompt, chosen[place + 1 :] + chosen[:place])
        for place, prompt in enumerate(chosen)
    ]
    return [one for one in found if one is not None]


def _swapped(prompt: Prompt, others: list[Prompt]) -> Swapped | None:
    own = {image.content_hash for image in prompt.images}
    others = sorted(others, key=lambda other: other.answer == prompt.answer)  # another answer first
    pictures = [
        image for other in others for image in other.images if image.content_hash not in own
    ]
    if not pictures:
        return None
    sizes = [image.shown_size() for image in prompt.images]
    scaled = tuple(
        _scaled(pictures[place % len(pictures)], size) for place, size in enumerate(sizes)
    )
    return Swapped(
        own=prompt,
        grey=_with(prompt, "grey", tuple(map(_grey, sizes))),
        other=_with(prompt, "other", scaled),
    )


def _with(prompt: Prompt, name: str, images: tuple[EncodedImage, ...]) -> Prompt:
    return replace(prompt, prompt_id=f"{prompt.prompt_id}-{name}", images=images)


@lru_cache(maxsize=64)
def _grey(size: tuple[int, int]) -> EncodedImage:
    from PIL import Image

    return _png(Image.new("RGB", size, GREY))


def _scaled(image: EncodedImage, size: tuple[int, int]) -> EncodedImage:
    return _png(image.decode(None).resize(size))


def _png(picture: "Image.Image") -> EncodedImage:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return EncodedImage.from_bytes(buffer.getvalue())
