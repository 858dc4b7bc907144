"""Trains vr1-tiny from scratch on generated figures: two CPU cores, 45 minutes.

Six styles of text, all on figures outside the validation and test buckets, none with think
tags: reading a figure out, counting much of it, comparing numbers, finding the choice that is a
result, answering a question at once, and answering it step by step when asked to. So the base model perceives and can compute in steps, but asked
plainly it answers without thinking: thinking in Vision-R1's format is what cold start and RL
bring.

    python examples/vr1_tiny/train.py --output examples/vr1_tiny/model

One process a core, each with half of every batch: on a shared machine this is far quicker than
two threads that wait for each other in every operation. A usable model is saved every
`--save_every` steps; `training_log.json` beside it keeps losses and scores.
"""

import argparse
import json
import math
import socket
import time
from pathlib import Path
from random import Random
from typing import Any

import torch
import torch.distributed as dist
from batches import Batcher, Example, check_against_processor, response_loss
from build import build, save
from evaluate import evaluate
from muon import Muon
from transformers import AutoProcessor

from vr1_ray.figure_math.dataset import DEMONSTRATION_BUCKETS, TRAIN_BUCKETS
from vr1_ray.figure_math.drawing import Figure, GridFigure, random_figure, read_out
from vr1_ray.figure_math.questions import Question, random_question, solve
from vr1_ray.figure_math.thoughts import (
    CHOICES_REQUEST,
    COUNT_REQUEST,
    DOUBTS,
    OPENING,
    READ_OUT_REQUEST,
    STEP_REQUEST,
    compare_choices,
    comparisons,
    counts,
    step_by_step,
)

BUCKETS = frozenset(TRAIN_BUCKETS) | frozenset(DEMONSTRATION_BUCKETS)
# Chains hold a read-out too, so few plain read-outs are needed. Counting and comparing are what come
# last, hence the styles that have eight of them. The share of direct answers is small: they stay weak by nature.
READ_OUT_SHARE, COUNT_SHARE, COMPARISONS_SHARE, CHOICES_SHARE, DIRECT_SHARE = (
    0.05,
    0.15,
    0.15,
    0.12,
    0.05,
)
CHOICE_SHARE = 0.4  # more than the dataset's: finding the letter has to be learned from few tokens


def random_choice_question(rng: Random) -> tuple[Figure, Question]:
    """A figure and a question that has choices."""
    while True:
        figure, question = random_question(rng, BUCKETS, choice_share=1.0)
        if question.choices:
            return figure, question


def random_example(rng: Random) -> Example:
    """A figure with one of the six styles of text."""
    draw = rng.random()
    if draw < COUNT_SHARE:
        grid = random_figure(rng, GridFigure, BUCKETS)
        assert isinstance(grid, GridFigure)
        return Example(grid, COUNT_REQUEST, counts(grid, rng))
    draw -= COUNT_SHARE
    if draw < COMPARISONS_SHARE:
        return Example(random_figure(rng, GridFigure, BUCKETS), *comparisons(rng))
    draw -= COMPARISONS_SHARE
    if draw < CHOICES_SHARE:
        figure, question = random_choice_question(rng)
        result = rng.choice(question.choices)
        request = question.text + CHOICES_REQUEST.format(result=result)
        return Example(figure, request, compare_choices(question, result))
    draw -= CHOICES_SHARE
    figure, question = random_question(rng, BUCKETS, CHOICE_SHARE)
    if draw < READ_OUT_SHARE:
        return Example(figure, READ_OUT_REQUEST, read_out(figure))
    if draw < READ_OUT_SHARE + DIRECT_SHARE:
        return Example(figure, question.text, solve(question, figure))
    return Example(figure, question.text + STEP_REQUEST, _steps(question, figure, rng))


def _steps(question: Question, figure: Figure, rng: Random) -> str:
    """Steps that begin at once, or after other words, so that they are found at any place of a response.

    Half of them end with the bare answer, which is other tokens than the answer in a sentence: a final
    answer can then be copied from a thought.
    """
    steps = step_by_step(question, figure)
    draw = rng.random()
    if draw < 0.4:
        parts = [steps]
    elif draw < 0.8:
        parts = [*rng.sample((OPENING, *DOUBTS), rng.randint(1, 3)), steps]
    else:
        parts = [OPENING, steps, rng.choice(DOUBTS), steps]
    if rng.random() < 0.5:
        parts.append(f"Answer:{solve(question, figure)}")
    return " ".join(parts)


def micro_batches(examples: list[Example], number: int) -> list[list[Example]]:
    """The batch in parts of like length, so that little of it is padding."""
    ordered = sorted(examples, key=lambda example: len(example.question) + len(example.response))
    size = math.ceil(len(ordered) / number)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def learning_rate(step: int, seconds: float, args: argparse.Namespace) -> float:
    """Warm-up, then a cosine to a hundredth, complete when the steps or the minutes are used up."""
    if step < args.warmup_steps:
        return args.lr * (step + 1) / args.warmup_steps
    progress = (step - args.warmup_steps) / max(1, args.steps - args.warmup_steps)
    progress = min(1.0, max(progress, seconds / (60 * args.max_minutes)))
    return args.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def train_step(
    model: torch.nn.Module,
    optimizers: list[torch.optim.Optimizer],
    batcher: Batcher,
    rng: Random,
    args: argparse.Namespace,
) -> tuple[float, float]:
    """One update on this worker's share; returns the whole batch's token loss and gradient norm."""
    examples = [random_example(rng) for _ in range(args.batch_size // args.workers)]
    loss_and_tokens = torch.zeros(2)
    for part in micro_batches(examples, 2):
        inputs, labels = batcher.training_batch(part)
        loss = response_loss(model, inputs, labels)
        loss.backward()
        loss_and_tokens += torch.tensor([loss.item(), float((labels != -100).sum())])
    gradients = [parameter.grad for parameter in model.parameters()]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients] + [loss_and_tokens])
    dist.all_reduce(flat)
    num_tokens = flat[-1].item()
    sizes = [gradient.numel() for gradient in gradients]
    for gradient, summed in zip(gradients, flat[:-2].split(sizes), strict=True):
        gradient.copy_(summed.view_as(gradient) / num_tokens)
    grad_norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item()
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return flat[-2].item() / num_tokens, grad_norm


def make_optimizers(
    model: torch.nn.Module, args: argparse.Namespace
) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the two transformers, AdamW for all else."""
    hidden, others = [], []
    for name, parameter in model.named_parameters():
        is_hidden = ".layers." in name or ".blocks." in name
        (hidden if is_hidden and parameter.dim() == 2 else others).append(parameter)
    return [
        Muon(hidden, lr=args.lr, weight_decay=args.weight_decay),
        torch.optim.AdamW(others, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def shared_seconds() -> float:
    """Seconds of its core that the first worker has used, for all workers to have the same learning rate.

    Not the time on the wall: what else runs on the machine doesn't shorten the training.
    """
    seconds = torch.tensor(time.process_time(), dtype=torch.float64)
    dist.broadcast(seconds, 0)
    return seconds.item()


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train vr1-tiny from scratch.")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=5500)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--warmup_steps", type=int, default=100)
    parser.add_argument("--weight_decay", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--initial", type=Path, help="go on from this saved model")
    parser.add_argument("--workers", type=int, default=2, help="processes, one a core")
    parser.add_argument("--save_every", type=int, default=500)
    parser.add_argument("--num_evaluated", type=int, default=100, help="questions of each style")
    parser.add_argument(
        "--max_minutes", type=float, default=44.0, help="of a core's time, then the schedule ends"
    )
    return parser.parse_args()


def train(rank: int, args: argparse.Namespace, port: int) -> None:
    """One worker: trains its share; the first one evaluates now and then, and saves."""
    began = time.monotonic()
    address = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=args.workers)
    torch.set_num_threads(1)
    rng = Random(f"{args.seed} {rank}")
    model, processor = build(args.seed)
    if args.initial:
        model = type(model).from_pretrained(args.initial, dtype=torch.float32)
        processor = AutoProcessor.from_pretrained(args.initial)
    batcher = Batcher(processor)
    check_against_processor(model, processor, [random_example(Random(seed)) for seed in range(8)])
    optimizers = make_optimizers(model, args)
    recent: list[float] = []
    log: list[dict[str, Any]] = []
    for done in range(1, args.steps + 1):
        model.train()
        seconds = shared_seconds()
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(done - 1, seconds, args)
        loss, grad_norm = train_step(model, optimizers, batcher, rng, args)
        recent.append(loss)
        is_last = done == args.steps or seconds > 60 * args.max_minutes
        if rank == 0 and done % 50 == 0:
            entry = {
                "step": done,
                "loss": sum(recent) / len(recent),
                "grad_norm": grad_norm,
                "seconds": seconds,
                "wall_seconds": time.monotonic() - began,
            }
            log.append({name: round(value, 4) for name, value in entry.items()})
            print(log[-1], flush=True)
            recent.clear()
        if rank == 0 and (done % args.save_every == 0 or is_last):
            log.append({"step": done, "scores": evaluate(model, processor, args.num_evaluated)})
            print({style: scores["all"] for style, scores in log[-1]["scores"].items()}, flush=True)
            save(model, processor, args.output)
            record = {
                "args": {
                    name: value
                    for name, value in vars(args).items()
                    if name not in ("output", "initial")
                },
                "log": log,
            }
            (args.output.parent / "training_log.json").write_text(
                json.dumps(record, indent=1) + "\n"
            )
        if is_last:
            break
    dist.barrier()
    dist.destroy_process_group()


def main() -> None:
    """Starts the workers."""
    args = parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    torch.multiprocessing.spawn(train, args=(args, port), nprocs=args.workers)


if __name__ == "__main__":
    main()
