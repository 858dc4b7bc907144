"""The blindness probe's rows: responses under three pictures, to be scored; and what is found of them.

Which prompts: `data/swapped_pictures.py`. What the numbers mean: `data/blindness.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from vr1_ray.answers import accuracy_of
from vr1_ray.data.blindness import ByPicture, Look
from vr1_ray.data.swapped_pictures import Swapped
from vr1_ray.training.rows import Unit
from vr1_ray.types import Prompt, TrainRow


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """A prompt with the response that the policy wrote to it.

    Example:
        Answered(prompt=prompt, prompt_ids=(1, 4, 4, 8), response_ids=(5, 2), text="3")
    """

    prompt: Prompt
    prompt_ids: tuple[int, ...]
    response_ids: tuple[int, ...]
    text: str


def prompts_to_ask(swapped: Sequence[Swapped]) -> list[Prompt]:
    """Each question with its own picture, with a grey one, with another's: three prompts a question, in this order."""
    return [prompt for one in swapped for prompt in (one.own, one.grey, one.other)]


def units_to_score(answered: Sequence[Answered]) -> list[Unit]:
    """For each question three rows: the response written with the own picture, under each. Row ids are prompt ids.

    `answered` is in the order of `prompts_to_ask`. A question whose response is empty has no rows.
    """
    return [
        [
            TrainRow(
                row_id=one.prompt.prompt_id,
                prompt_ids=one.prompt_ids,
                response_ids=three[0].response_ids,
                image_hashes=tuple(image.content_hash for image in one.prompt.images),
            )
            for one in three
        ]
        for three in _threes(answered)
        if three[0].response_ids
    ]


def looks_of(answered: Sequence[Answered], logprobs: Mapping[str, Sequence[float]]) -> list[Look]:
    """What is found of each question, from the log-probabilities by row id."""
    return [
        Look(
            prompt_id=three[0].prompt.prompt_id,
            correct=ByPicture(*(accuracy_of(one.text, one.prompt.answer) for one in three)),
            logprob=ByPicture(*(fmean(logprobs[one.prompt.prompt_id]) for one in three)),
        )
        for three in _threes(answered)
        if three[0].response_ids
    ]


def _threes(answered: Sequence[Answered]) -> list[Sequence[Answered]]:
    return [answered[start : start + 3] for start in range(0, len(answered), 3)]
