"""Measures vr1-tiny on held-out figures: read-outs, direct and step-by-step answers, by family.

python examples/vr1_tiny/evaluate.py                     # 600 questions of each style, greedy, a
table
"""

import argparse
import json
import re
from collections import defaultdict
from pathlib import Path
from random import Random

import torch
from batches import Batcher, Example
from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor

from vr1_ray.figure_math.dataset import TEST_BUCKETS
from vr1_ray.figure_math.drawing import GridFigure, read_out
from vr1_ray.figure_math.questions import random_question, solve
from vr1_ray.figure_math.thoughts import READ_OUT_REQUEST, STEP_REQUEST, step_by_step

STYLES = ("read_out", "direct", "steps")


def generate(
    model: Qwen2_5_VLForConditionalGeneration,
    batcher: Batcher,
    examples: list[Example],
    max_response_tokens: int,
    temperature: float = 0.0,
    batch_size: int = 100,
) -> list[tuple[str, int, bool]]:
    """For each example the response, its number of tokens and whether it ended by itself."""
    model.eval()
    eos_id, results = batcher.tokenizer.eos_token_id, []
    for start in range(0, len(examples), batch_size):
        inputs = batcher.prompt_batch(examples[start : start + batch_size])
        sampling = (
            {"do_sample": True, "temperature": temperature, "top_k": 0}
            if temperature
            else {"do_sample": False}
        )
        with torch.no_grad():
            output = model.generate(
                **inputs,
                **sampling,
                max_new_tokens=max_response_tokens,
                suppress_tokens=[model.config.image_token_id, model.config.video_token_id],
            )
        for row in output[:, inputs["input_ids"].shape[1] :].tolist():
            is_finished = eos_id in row
            ids = row[: row.index(eos_id)] if is_finished else row
            results.append(
                (
                    batcher.tokenizer.decode(ids, skip_special_tokens=True),
                    len(ids) + is_finished,
                    is_finished,
                )
            )
    return results


def held_out_examples(style: str, number: int, seed: int) -> list[tuple[Example, str, str]]:
    """Examples with the family each counts for and the reference answer."""
    rng = Random(seed)
    examples = []
    for _ in range(number):
        figure, question = random_question(rng, TEST_BUCKETS)
        if style == "read_out":
            kind = type(figure).__name__.removesuffix("Figure").lower()
            examples.append(
                (Example(figure, READ_OUT_REQUEST, read_out(figure)), kind, read_out(figure))
            )
        elif style == "direct":
            examples.append(
                (
                    Example(figure, question.text, solve(question, figure)),
                    question.family,
                    solve(question, figure),
                )
            )
        else:
            response = step_by_step(question, figure)
            examples.append(
                (
                    Example(figure, question.text + STEP_REQUEST, response),
                    question.family,
                    solve(question, figure),
                )
            )
    return examples


def item_score(style: str, example: Example, reference: str, response: str) -> tuple[int, int]:
    """Right items and items: cells, bars or sides of a read-out; the one answer otherwise."""
    if style == "steps":
        response = response.rpartition("The answer is ")[2].partition(".")[0]
    if style != "read_out":
        return int(response.strip() == reference), 1
    split = r"[:.,] ?" if isinstance(example.figure, GridFigure) else r"[:.,] ?|(?<=wide)|(?<=high)"
    wanted = [part.strip() for part in re.split(split, reference) if part.strip()]
    got = [part.strip() for part in re.split(split, response) if part.strip()]
    labels = {"Top", "Middle", "Bottom", "Bars", "Rectangle"}
    pairs = [
        (item, got[index] if index < len(got) else "")
        for index, item in enumerate(wanted)
        if item not in labels
    ]
    return sum(item == seen for item, seen in pairs), len(pairs)


def evaluate(
    model: Qwen2_5_VLForConditionalGeneration,
    processor: Qwen2_5_VLProcessor,
    number: int,
    styles: tuple[str, ...] = STYLES,
    seed: int = 20,
) -> dict[str, dict[str, float]]:
    """Style -> {family: share of right items, "all": ..., "whole": share of read-outs without a fault}."""
    batcher = Batcher(processor)
    table: dict[str, dict[str, float]] = {}
    for style in styles:
        examples = held_out_examples(style, number, seed)
        responses = generate(
            model, batcher, [example for example, _, _ in examples], 8 if style == "direct" else 120
        )
        right: dict[str, int] = defaultdict(int)
        total: dict[str, int] = defaultdict(int)
        whole = 0
        for (example, family, reference), (response, _, _) in zip(examples, responses, strict=True):
            num_right, num_items = item_score(style, example, reference, response)
            whole += num_right == num_items
            for name in (family, "all"):
                right[name] += num_right
                total[name] += num_items
        table[style] = {name: round(right[name] / total[name], 4) for name in sorted(total)}
        if style == "read_out":
            table[style]["whole"] = round(whole / number, 4)
    return table


def main() -> None:
    """Prints the table of a saved model."""
    parser = argparse.ArgumentParser(description="Measure vr1-tiny on held-out figures.")
    parser.add_argument("--model", type=Path, default=Path(__file__).parent / "model")
    parser.add_argument("--number", type=int, default=600)
    parser.add_argument("--seed", type=int, default=20)
    args = parser.parse_args()
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(args.model, dtype=torch.float32)
    table = evaluate(model, AutoProcessor.from_pretrained(args.model), args.number, seed=args.seed)
    for style, scores in table.items():
        print(f"{style:9s}", "  ".join(f"{name} {score:.3f}" for name, score in scores.items()))
    print(json.dumps(table))


if __name__ == "__main__":
    main()
