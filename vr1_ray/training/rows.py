"""Groups and demonstrations -> training rows, and who trains which. Plain Python, no tensors yet.

A unit is the rows of one prompt: a group in RL, one row in the cold start. Units stay whole on one
rank, so the vision tower sees each image once.
"""

from itertools import pairwise

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


def num_tokens(unit: Unit) -> int:
    """Prompt and response tokens of a unit."""
    return sum(len(row.prompt_ids) + len(row.response_ids) for row in unit)


def balance(units: list[Unit], num_parts: int) -> list[list[Unit]]:
    """Deal units into parts of nearly equal tokens: longest first, each to the lightest part.

    Deterministic; within a part the given order is kept, so sums come out the same each time.
    """
    parts: list[list[int]] = [[] for _ in range(num_parts)]
    loads = [0] * num_parts
    for index in sorted(range(len(units)), key=lambda i: (-num_tokens(units[i]), i)):
        lightest = min(range(num_parts), key=lambda part: (loads[part], part))
        parts[lightest].append(index)
        loads[lightest] += num_tokens(units[index])
    return [[units[index] for index in sorted(part)] for part in parts]


def deal(units: list[Unit], *, num_ranks: int, num_mini_batches: int) -> list[list[list[Unit]]]:
    """[rank][mini-batch] -> units. Mini-batches are consecutive runs of units, in prompt order.

    Where the units do not divide (groups were dropped or left out) sizes differ by one; with fewer units
    than mini-batches there are as many mini-batches as units.
    """
    parts = min(num_mini_batches, len(units))
    edges = [len(units) * number // parts for number in range(parts + 1)]
    dealt = [balance(units[start:end], num_ranks) for start, end in pairwise(edges)]
    return [[mini_batch[rank] for mini_batch in dealt] for rank in range(num_ranks)]
