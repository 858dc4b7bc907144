"""Groups and demonstrations -> training rows. Plain Python, no tensors yet.

A unit is the rows of one prompt: a group in RL, one row in the cold start. Who trains which: `dealing.py`.
"""

from vr1_ray.models.base import ModelAdapter
from vr1_ray.types import Demonstration, EncodedImage, Prompt, RolloutGroup, TrainRow

Unit = list[TrainRow]


def unit_of_group(group: RolloutGroup, *, temperature: float) -> Unit:
    """The training rows of one group. Raises ValueError for a rollout without advantage."""
    hashes = tuple(image.content_hash for image in group.prompt.images)
    rows = []
    for rollout in group.rollouts:
        if rollout.advantage is None:
            raise ValueError(
                f"prompt {group.prompt.prompt_id}: rollout {rollout.index} has no advantage yet"
            )
        rows.append(
            TrainRow(
                row_id=f"{group.prompt.prompt_id}/{rollout.index}",
                prompt_ids=group.prompt_ids,
                response_ids=rollout.response_ids,
                image_hashes=hashes,
                advantage=rollout.advantage,
                rollout_logprobs=rollout.rollout_logprobs,
                ref_logprobs=rollout.ref_logprobs,
                temperature=temperature,
            )
        )
    return rows


def row_to_score(group: RolloutGroup, index: int, *, temperature: float) -> TrainRow:
    """A row whose log-probabilities are asked for: no advantage needed."""
    return TrainRow(
        row_id=f"{group.prompt.prompt_id}/{index}",
        prompt_ids=group.prompt_ids,
        response_ids=group.rollouts[index].response_ids,
        image_hashes=tuple(image.content_hash for image in group.prompt.images),
        temperature=temperature,
    )


def unit_of_demonstration(demonstration: Demonstration, adapter: ModelAdapter) -> Unit:
    """The one row of a demonstration: prompt as rendered, response with its end token."""
    prompt = demonstration.prompt
    return [
        TrainRow(
            row_id=f"{prompt.prompt_id}/demonstration",
            prompt_ids=adapter.render(prompt).prompt_ids,
            response_ids=adapter.encode_response(demonstration.response),
            image_hashes=tuple(image.content_hash for image in prompt.images),
        )
    ]


def images_of(prompts: list[Prompt], units: list[Unit]) -> dict[str, EncodedImage]:
    """The images that `units` show, each once, by content hash."""
    wanted = {image_hash for unit in units for row in unit for image_hash in row.image_hashes}
    return {
        image.content_hash: image
        for prompt in prompts
        for image in prompt.images
        if image.content_hash in wanted
    }


def prompt_of(row: TrainRow) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """What a row answers: rows for which it is equal share one prompt of a packed sequence."""
    return row.prompt_ids, row.image_hashes


def num_tokens(unit: Unit) -> int:
    """Prompt and response tokens of a unit."""
    return sum(len(row.prompt_ids) + len(row.response_ids) for row in unit)
