"""Answering questions with a policy: `vr1 generate POLICY ...`. One engine in this process, without Ray.

Images are scaled as in training, for the processor in the policy's folder knows the limits; so does its card of
the system prompt. Questions are all
read and measured before the engine starts; rows come out in their order, each as soon as it can.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from vr1_ray.answers import answers_match
from vr1_ray.answers.text import without_prefix
from vr1_ray.commands.quiet import quiet, to_user
from vr1_ray.config import ConfigError
from vr1_ray.config.generate import GenerateConfig, check_settings
from vr1_ray.config.model_path import check_model_path
from vr1_ray.data.questions import load_questions, one_question
from vr1_ray.rewards import parse_response
from vr1_ray.types import Prompt, SamplingSpec, sample_seed
from vr1_ray.wording import counted

if TYPE_CHECKING:
    from vr1_ray.models import ModelAdapter
    from vr1_ray.rollout import RolloutEngine, Sample

DEFAULT_MAX_TOKENS = 4096  # of a response, where neither card nor model says less
ANSWER_END = "</answer>"  # what comes behind it is no part of a response


def run_generate(config: GenerateConfig) -> None:
    """Answer every question and write one JSON line a response (one question alone: for people).

    Raises ValueError for bad input before an engine is started, RuntimeError if the engine fails or nothing
    ends within `timeout_seconds`.
    """
    check_settings(config)
    check_output(config)
    prompts = _read(config)
    check_model_path(config.policy, "policy")
    print(f"loading {config.policy}: half a minute on a laptop", file=sys.stderr, flush=True)
    with quiet("generate"):
        rows = _ask(config, prompts)
    if config.output:
        print(f"{counted(rows, 'response')} in {config.output}", file=sys.stderr)


def _ask(config: GenerateConfig, prompts: list[Prompt]) -> int:
    """Start the engine, ask it everything; how many responses there are."""
    # These take seconds, which a missing picture should not take to be told.
    from vr1_ray.models import load_adapter
    from vr1_ray.rollout import check_engine

    check_engine(config.rollout)  # before the model is read
    config = replace(config, model=model_settings(config))
    adapter = load_adapter(config.model)
    is_chosen = not config.max_response_tokens
    config = with_room(config, adapter, prompts)
    if is_chosen:
        why = "what the policy was trained with" if _trained_cap(config) else "by default"
        cap = config.max_response_tokens
        note = f"note: at most {cap} tokens a response, {why}; --max_tokens changes it"
        print(note, file=to_user())
    is_alone = not config.source and config.num_samples == 1
    with _output(config.output) as file:
        return asyncio.run(
            _generate(config, adapter, prompts, file, is_alone and not config.output)
        )


def check_output(config: GenerateConfig) -> None:
    """Raise ConfigError for an --output that can't be written, or would replace what is asked."""
    if not config.output:
        return
    path = Path(config.output)
    if config.source and path.resolve() == Path(config.source).resolve():
        raise ConfigError(f"--output: {path} is --input itself; name another file")
    if path.is_dir():
        raise ConfigError(f"--output: {path} is a folder; name a file in it")
    is_new = not path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a", encoding="utf-8").close()
    except OSError as error:
        raise ConfigError(
            f"--output: {path} can't be written ({error.strerror}); name another file"
        ) from error
    if is_new:
        path.unlink()


def _read(config: GenerateConfig) -> list[Prompt]:
    if config.source:
        return load_questions(config.source, config.question, config.data)
    return [one_question(config.images, config.question, config.data)]


def model_settings(config: GenerateConfig) -> Any:
    """The model's settings: as given, else what the policy's own processor and this machine say."""
    import torch

    from vr1_ray.models import load_adapter
    from vr1_ray.models.card import read_card

    given, default = config.model, type(config.model)()
    found: dict[str, Any] = {"path": config.policy}
    if given.system_prompt is None:
        found["system_prompt"] = read_card(config.policy).get("system_prompt")
    if given.dtype == default.dtype and torch.cuda.is_available():
        found["dtype"] = "bfloat16"
    size = load_adapter(replace(given, path=config.policy)).saved_pixel_limits
    if size is not None:
        for field, value in zip(("min_pixels", "max_pixels"), size, strict=True):
            if getattr(given, field) == getattr(default, field):
                found[field] = value
    return replace(given, **found)


def _trained_cap(config: GenerateConfig) -> int:
    """The longest response the policy was trained with, by its card; 0 if that says nothing."""
    from vr1_ray.models.card import read_card

    return int(read_card(config.policy).get("max_response_tokens") or 0)


def with_room(
    config: GenerateConfig, adapter: "ModelAdapter", prompts: list[Prompt]
) -> GenerateConfig:
    """With room for the longest question and response, and for the most images. Raises ConfigError if it is too much."""
    lengths = [len(adapter.render(prompt).prompt_ids) for prompt in prompts]
    longest = max(lengths)
    given = config.model.max_model_len
    limit = adapter.max_positions if given == type(config.model)().max_model_len else given
    most = _trained_cap(config) or DEFAULT_MAX_TOKENS
    wanted = config.max_response_tokens or max(1, min(most, limit - longest))
    if longest + wanted > limit:
        raise ConfigError(
            f"question {lengths.index(longest)} has {longest} tokens; with --max_tokens {wanted} they are more "
            f"than the {limit} that model.max_model_len allows; lower --max_tokens, or shrink the image with "
            "--set model.max_pixels=..."
        )
    most_images = max(len(prompt.images) for prompt in prompts)
    model = replace(
        config.model,
        max_model_len=longest + wanted,
        max_images=max(most_images, config.model.max_images),
    )
    return replace(config, model=model, max_response_tokens=wanted)


@contextmanager
def _output(path: str) -> Iterator[TextIO]:
    if not path:
        yield sys.stdout
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        yield file


async def _generate(
    config: GenerateConfig,
    adapter: "ModelAdapter",
    prompts: list[Prompt],
    file: TextIO,
    for_people: bool,
) -> int:
    # vLLM reads these when it is imported: its own limit on its start, and standard output is for responses.
    os.environ["VLLM_ENGINE_READY_TIMEOUT_S"] = str(max(1, int(config.timeout_seconds)))
    os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
    from vr1_ray.rollout import rollout_engine_class

    engine_class = rollout_engine_class(config.rollout.engine)
    engine = engine_class(model=config.model, rollout=config.rollout, adapter=adapter)
    count = 0
    try:
        await engine.start()
        async for number, samples in _answers(engine, config, adapter, prompts):
            for index, sample in enumerate(samples):
                row = response_row(prompts[number], number, index, sample, adapter)
                text = for_reading(row) if for_people else json.dumps(row, ensure_ascii=False)
                print(text, file=file, flush=True)
                count += 1
    finally:
        await engine.close()
    return count


async def _answers(
    engine: "RolloutEngine", config: GenerateConfig, adapter: "ModelAdapter", prompts: list[Prompt]
) -> AsyncIterator[tuple[int, list["Sample"]]]:
    """Each question's samples, in order; at most `rollout.max_concurrent_responses` are in the engine.

    Raises RuntimeError if none ends for `timeout_seconds`.
    """
    room = max(1, config.rollout.max_concurrent_responses // config.num_samples)
    tasks: dict[asyncio.Task, int] = {}
    done: dict[int, list[Sample]] = {}
    started = shown = 0
    try:
        while shown < len(prompts):
            while started < len(prompts) and len(tasks) < room:
                sampling = sample_prompt(engine, config, adapter, prompts[started])
                tasks[asyncio.create_task(sampling)] = started
                started += 1
            ended, _ = await asyncio.wait(
                tasks, timeout=config.timeout_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if not ended:
                raise RuntimeError(
                    f"no response ended within {config.timeout_seconds:g} s, {shown} of {counted(len(prompts), 'question')} "
                    f"are answered; waiting for {sorted(tasks.values())[:8]}; raise --timeout_seconds or lower --max_tokens"
                )
            done |= {tasks.pop(task): task.result() for task in ended}
            while shown in done:
                yield shown, done.pop(shown)
                shown += 1
    finally:
        for task in tasks:
            task.cancel()


async def sample_prompt(
    engine: "RolloutEngine", config: GenerateConfig, adapter: "ModelAdapter", prompt: Prompt
) -> list["Sample"]:
    """The responses to one prompt, `num_samples` of them."""
    spec = SamplingSpec(
        max_response_tokens=config.max_response_tokens,
        group_size=config.num_samples,
        temperature=config.temperature,
        top_p=config.top_p,
        stop_texts=(ANSWER_END,),
    )
    seeds = [
        sample_seed(
            run_seed=config.seed, step=0, prompt_id=prompt.prompt_id, index=index, attempt=0
        )
        for index in range(config.num_samples)
    ]
    rendered, images = adapter.render(prompt), adapter.open_images(prompt.images)
    return await engine.generate(prompt.prompt_id, rendered, images, spec, seeds)


def response_row(
    prompt: Prompt, number: int, index: int, sample: "Sample", adapter: "ModelAdapter"
) -> dict[str, Any]:
    """One response as a row. `thought` and `answer` are None if it has not the format.

    `correct` is there if the question came with a reference answer.
    """
    text = adapter.decode(sample.response_ids)
    parsed = parse_response(text)
    row = {
        "id": prompt.metadata.get("id", number),
        "sample": index,
        "images": prompt.metadata.get("images", []),
        "question": prompt.question,
        "thought": parsed.thought if parsed else None,
        "answer": without_prefix(parsed.answer) if parsed else None,
        "response": text,
        "finish_reason": sample.finish_reason,
        "response_tokens": len(sample.response_ids),
    }
    if prompt.answer:
        row |= {
            "reference": prompt.answer,
            "correct": bool(parsed and answers_match(parsed.answer, prompt.answer)),
        }
    return row


def for_reading(row: dict[str, Any]) -> str:
    """A response as a person reads it."""
    tail = f"({row['finish_reason']}, {counted(row['response_tokens'], 'token')})"
    if row["finish_reason"] == "truncated":
        tail += "; --max_tokens N lets it go on"
    if row["answer"] is None:
        return f"{row['response']}\n\nno <think> and <answer> blocks {tail}"
    return f"{row['thought']}\n\nanswer: {row['answer']}   {tail}"
