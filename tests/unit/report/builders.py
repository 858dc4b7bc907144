"""A run folder as a run leaves it, of any size, written by what runs write with: figures, notes, config, saved groups."""

import io
import random
from dataclasses import replace
from functools import cache

import numpy as np
from PIL import Image
from tokenizers import Tokenizer

from tests.builders import TINY_MODEL
from vr1_ray.config import RunConfig, save_config
from vr1_ray.config.schema import StageConfig
from vr1_ray.runs.run_folder import CONFIG, write_json
from vr1_ray.tracking.jsonl import JsonlSink
from vr1_ray.tracking.rollout_store import RolloutStore
from vr1_ray.types import EncodedImage, Prompt, Rollout, RolloutGroup, Stage, TokenSpan

COLOURS, SHAPES = ("red", "blue", "green", "yellow"), ("circles", "squares", "triangles", "shapes")
SENTENCES = (
    " First I count the {0} {1}: {2}.",
    " The picture shows {2} {0} {1} and {3} others.",
    " Wait, let me look again at the {0} {1}, there are {2}.",
    " Row by row the numbers are {2}, {3} and {2}.",
    " So the sum of {2} and {3} is what is asked.",
)


@cache
def tokenizer():
    return Tokenizer.from_file(str(TINY_MODEL / "tokenizer.json"))


@cache
def encoded(text):
    return tuple(tokenizer().encode(text).ids)


def noise(seed, side=26):
    """A picture that no compression makes smaller: about 2 kB at 26 pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return EncodedImage.from_bytes(buffer.getvalue())


def prompt(number, image=None):
    rng = random.Random(number)
    colour, shape = rng.choice(COLOURS), rng.choice(SHAPES)
    return Prompt(
        prompt_id=f"{number:016x}",
        question=f"<image>How many {colour} {shape} are there in picture {number}?",
        images=(image or noise(number),),
        answer=str(rng.randrange(10)),
    )


def thought(rng, tokens):
    """(text, ids) of about that many tokens."""
    text, ids = "<think>", encoded("<think>")
    while len(ids) < tokens - 22:
        words = rng.choice(COLOURS), rng.choice(SHAPES), rng.randrange(10), rng.randrange(10)
        sentence = rng.choice(SENTENCES).format(*words)
        text, ids = text + sentence, ids + encoded(sentence)
    return text, ids


def rollout(rng, index, asked, stage, *, tokens, good):
    text, ids = thought(rng, tokens)
    is_right = rng.random() < good
    answer = asked.answer if is_right else str((int(asked.answer) + rng.randrange(1, 9)) % 10)
    end = f" </think><answer> Final Answer:{answer} </answer>"
    text, ids = text + end, (*ids, *encoded(end), 532)
    is_cut = len(ids) > stage.max_response_tokens
    if is_cut:
        ids = ids[: stage.max_response_tokens]
        text, is_right = tokenizer().decode(list(ids)), False
    drawn = np.random.default_rng(rng.randrange(2**31))
    engine = -drawn.exponential(0.3, len(ids)).astype(np.float32)
    reference = engine + drawn.normal(0, 0.2, len(ids)).astype(np.float32)
    value = float(is_right)
    return Rollout(
        index=index,
        attempt=0,
        seed=rng.randrange(2**31),
        status="truncated" if is_cut else "finished",
        response_ids=tuple(ids),
        text=text,
        rollout_logprobs=tuple(map(float, engine)),
        ref_logprobs=tuple(map(float, reference)),
        version_spans=(TokenSpan(policy_version=0, start=0, end=len(ids)),),
        reward=value,
        reward_parts={
            "hard_format": value,
            "hard_format/accuracy": value,
            "format": float(not is_cut),
            "accuracy": value,
        },
    )


def with_advantages(rollouts):
    rewards = np.array([one.reward for one in rollouts])
    advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-6)
    return tuple(
        replace(one, advantage=float(advantage))
        for one, advantage in zip(rollouts, advantages, strict=True)
    )


def metrics(step, steps, stage, groups):
    rollouts = [one for group in groups for one in group.rollouts]
    rate, tokens = np.mean([one.reward for one in rollouts]), [one.num_tokens for one in rollouts]
    rng = random.Random(step)
    generate, train = 8 + 6 * rng.random(), 5 + rng.random()
    return {
        "stage": stage.number, "max_response_tokens": stage.max_response_tokens, "group_size": stage.group_size,
        "policy_version": step - 1, "reward/mean": rate, "accuracy": rate,
        "format_rate": min(0.6 + step / steps, 1.0), "response_tokens/mean": np.mean(tokens), "response_tokens/max": max(tokens),
        "truncation_rate": np.mean([one.status == "truncated" for one in rollouts]),
        "informative_group_rate": np.mean([len(set(group.rewards_G)) > 1 for group in groups]),
        "kl": 0.01 + step / steps / 10, "clip_fraction": rng.random() / 50, "entropy": 1.1 - step / steps / 2,
        "loss": rng.random() / 100, "logprob_diff/mean": 1e-4 * (1 + rng.random()), "logprob_diff/p99": 2e-3 * (1 + rng.random()),
        "tokens_per_second": 900 + 50 * rng.random(), "engines/healthy": 2 if step > steps // 3 else 1, "engines/restarts": 0,
        "time/generate": generate, "time/reward": 2 + rng.random(), "time/reward_exposed": 0.2, "time/reference": 1.2,
        "time/train": train, "time/sync": 0.8, "time/step": generate + train + 2.6,
        **({"time/checkpoint": 1.5} if step % max(steps // 4, 2) == 1 and step > 1 else {}),
    }  # fmt: skip


def make_run(folder, *, steps=6, groups=4, size=4, prompts=8, tokens=70, images=None, **config):
    """Two stages, the second with twice the room; every prompt comes back when all have been asked."""
    folder.mkdir(parents=True, exist_ok=True)
    half = steps // 2 or 1
    stages = [
        StageConfig(max_response_tokens=tokens, group_size=size, steps=half),
        StageConfig(max_response_tokens=2 * tokens, group_size=size, steps=max(steps - half, 1)),
    ]
    settings = RunConfig(kind="rl", name=folder.name, runs_folder=str(folder.parent), **config)
    settings.rollout.save, settings.model.path = "all", str(TINY_MODEL)
    settings.curriculum.stages = stages
    save_config(settings, folder / CONFIG)
    asked = [prompt(number, images[number] if images else None) for number in range(prompts)]
    sink, store = JsonlSink(folder, None), RolloutStore(folder, save="all")
    rng = random.Random(0)
    for step in range(1, steps + 1):
        number = 1 if step <= half else 2
        plan = stages[number - 1]
        stage = Stage(
            number=number,
            max_response_tokens=plan.max_response_tokens,
            group_size=size,
            steps=plan.steps,
        )
        made = []
        for place in range(groups):
            one = asked[((step - 1) * groups + place) % prompts]
            length = tokens if number == 1 else int(tokens * 1.3)
            rollouts = [
                rollout(rng, index, one, stage, tokens=rng.randrange(length - 20, length + 12), good=0.15 + 0.75 * step / steps)
                for index in range(size)
            ]  # fmt: skip
            made.append(
                RolloutGroup(
                    prompt=one,
                    step=step,
                    stage=stage,
                    policy_version=step - 1,
                    prompt_ids=(1, 4),
                    rollouts=with_advantages(rollouts),
                )
            )
        store.save(made)
        sink.log(step, metrics(step, steps, stage, made))
        if step == half:
            sink.note(f"ALARM step {step}: logprob_diff/mean is 0.02, above 0.01")
    sink.close()
    write_json(folder / "result.json", {"kind": "rl", "early_ends": []})
    return folder
