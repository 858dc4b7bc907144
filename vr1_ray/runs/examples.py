"""Held-out questions with what each policy of a run or recipe answered, for its report."""

from typing import Any

from vr1_ray.config import RunConfig
from vr1_ray.config.objects import Objects, named
from vr1_ray.data import load_prompts


def examples_of(
    evaluations: list[dict[str, Any]],
    runs: list[RunConfig],
    objects: Objects,
    num_examples: int = 12,
) -> list[dict]:
    """The first questions with every policy's response, for the report."""
    config = next((config for config in runs if config.eval.data), None)
    evaluations = [content for content in evaluations if content["rows"]]
    if config is None or not evaluations:
        return []
    prompts = {
        prompt.prompt_id: prompt
        for prompt in load_prompts(
            config.data_here, named(config.eval.data, objects, "eval.data"), config.eval.split
        )
    }
    examples = []
    for position in range(min(num_examples, len(evaluations[0]["rows"]))):
        rows = {content["label"]: content["rows"][position] for content in evaluations}
        first = next(iter(rows.values()))
        responses = {
            label: (row["response"], bool(row["correct"]), row["response_tokens"])
            for label, row in rows.items()
        }
        examples.append({"prompt": prompts[first["prompt_id"]], "responses": responses})
    return examples
