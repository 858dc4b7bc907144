"""Rows that try a part of the run on a small scale: the model's files, the response format, the rewards."""

import json
from pathlib import Path

from vr1_ray.config import RunConfig
from vr1_ray.models import ModelAdapter
from vr1_ray.preflight.table import CheckRow
from vr1_ray.rewards import parse_response
from vr1_ray.rewards.isolated import START_SECONDS, score_isolated
from vr1_ray.types import Prompt, RewardInput, Rollout, Stage
from vr1_ray.wording import counted

NUM_REHEARSED = 3
INDEX = "model.safetensors.index.json"
RESPONSE = "<think> 2 + 2 = 4. </think><answer> Final Answer:{answer} </answer>"


def weights_row(config: RunConfig) -> CheckRow:
    """Whether the weights that config.json promises are there: all shards of a folder, or the cache of a hub name."""
    path = config.model.path
    if Path(path).is_dir():
        missing = _missing_shards(Path(path))
        if missing:
            return CheckRow(
                name="model: reachable",
                value=f"{counted(len(missing), 'file')} of weights are missing",
                status="bad",
                cure=f"{path} lacks {', '.join(missing[:3])}; copy or download the model again",
            )
        return CheckRow(name="model: reachable", value=path)
    from huggingface_hub import try_to_load_from_cache

    cached = [
        try_to_load_from_cache(path, name, revision=config.model.revision)
        for name in ("model.safetensors", INDEX)
    ]
    if any(isinstance(found, str) for found in cached):
        return CheckRow(name="model: reachable", value=f"{path}, in the local cache")
    return CheckRow(
        name="model: reachable",
        value=f"{path}, weights not in the cache",
        status="warning",
        cure=f"each node downloads them at the start; `hf download {path}` on all of them, or a shared HF_HOME",
    )


def _missing_shards(folder: Path) -> list[str]:
    index = folder / INDEX
    if index.is_file():
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        return [name for name in names if not (folder / name).is_file()]
    return [] if any(folder.glob("*.safetensors")) else ["model.safetensors"]


def format_row(adapter: ModelAdapter) -> CheckRow:
    """The chat template renders, and a response in Vision-R1's format comes back as it was written."""
    name = "chat template and response format"
    written = RESPONSE.format(answer="4")
    try:
        rendered = adapter.render(Prompt(prompt_id="check", question="What is 2 + 2?"))
        text = adapter.decode(adapter.encode_response(written))
    except Exception as error:  # a template is a program of the model's author
        return CheckRow(
            name=name,
            value="does not render",
            status="bad",
            cure=f"{error!s:.300}; mend the chat template or tokenizer in model.path",
        )
    if adapter.decode(rendered.prompt_ids).rstrip().endswith("<think>"):
        return CheckRow(
            name=name,
            value="the chat template opens <think> itself",
            status="bad",
            cure="a response is to open it; take the Instruct model of the family, or a chat template without it",
        )
    parsed = parse_response(text)
    if parsed is None or (parsed.thought, parsed.answer) != ("2 + 2 = 4.", "Final Answer:4"):
        return CheckRow(
            name=name,
            value=f"{text!r:.60}",
            status="bad",
            cure="the tokenizer does not give the response format back; no response can earn the format reward",
        )
    return CheckRow(
        name=name,
        value=f"round trip; {counted(len(rendered.prompt_ids), 'token')} around a question",
    )


def reward_row(config: RunConfig, prompts: list[Prompt], adapter: ModelAdapter) -> CheckRow:
    """What the reference answer, in the right format, earns on three rows.

    In a process of its own: a reward may hang, or take its process with it.
    """
    stage = next(stage for stage in config.curriculum.stages if stage.enabled)
    inputs = [
        _reward_input(prompt, adapter, stage.max_response_tokens, stage.group_size)
        for prompt in prompts[:NUM_REHEARSED]
    ]
    name = f"rewards, rehearsed on {counted(len(inputs), 'row')}"
    limit = START_SECONDS + max(pool.timeout_seconds for pool in config.reward_pools.values())
    fault, values = score_isolated(config.rewards, inputs, limit_seconds=limit)
    if fault:
        return CheckRow(name=name, value="no reward", status="bad", cure=fault)
    is_low = all(value <= 0 for value in values)
    return CheckRow(
        name=name,
        value=f"the reference answer earns {', '.join(f'{value:g}' for value in values)}",
        status="warning" if is_low else "ok",
        cure="right answers in the right format earn nothing; look at data.answer_column and the weights in `rewards`"
        if is_low
        else "",
    )


def _reward_input(
    prompt: Prompt, adapter: ModelAdapter, max_tokens: int, group_size: int
) -> RewardInput:
    text = RESPONSE.format(answer=prompt.answer)
    stage = Stage(number=1, max_response_tokens=max_tokens, group_size=group_size, steps=1)
    rollout = Rollout(
        index=0,
        attempt=0,
        seed=0,
        status="finished",
        response_ids=adapter.encode_response(text),
        text=text,
    )
    return RewardInput(
        prompt=prompt, response=text, finished=True, rollout=rollout, stage=stage, step=1
    )
