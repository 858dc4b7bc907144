"""The blindness probe of `vr1 check --probe`: loads the policy, and asks whether it looks at its pictures.

One engine of the run's kind in this process samples (`rollout.engine=hf` takes plain transformers), is closed, and then
the policy as the reference has it scores. What is asked and what the figures mean: `data/blindness.py`.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from vr1_ray.config import RunConfig
from vr1_ray.config.demand import enabled_stages
from vr1_ray.data.blindness import blindness_alarm, blindness_figures, blindness_text
from vr1_ray.data.swapped_pictures import swap_pictures
from vr1_ray.models import ModelAdapter, load_adapter
from vr1_ray.preflight.table import CheckRow
from vr1_ray.rollout import rollout_engine_class
from vr1_ray.training.looking import Answered, looks_of, prompts_to_ask, units_to_score
from vr1_ray.training.rows import images_of
from vr1_ray.types import Prompt, SamplingSpec

NAME = "blindness probe"
DEFAULT_TOKENS = 512  # of a response, where neither a stage nor `eval` says how many


def probe_rows(config: RunConfig, prompts: list[Prompt]) -> Iterator[CheckRow]:
    """One row: the share of questions that need their picture; bad if the policy does not look at its pictures.

    `prompts` are those of `data.train`, or of `eval.data`; without any the row says that nothing was asked.
    """
    if config.kind not in ("rl", "eval", "filter"):
        return
    figures = probe(config, prompts)
    if not figures:
        why = "none of the prompts read has a picture that another's differs from"
        yield CheckRow(name=NAME, value=f"not asked: {why if prompts else 'no prompts were read'}")
        return
    alarm = blindness_alarm(figures, config.blindness.alarm_looks_rate)
    yield CheckRow(
        name=NAME,
        value=blindness_text(figures),
        limit=f"looks in more than {config.blindness.alarm_looks_rate:.0%}",
        status="bad" if alarm else "ok",
        cure=alarm,
    )


def probe(config: RunConfig, prompts: list[Prompt]) -> dict[str, float]:
    """The figures of METRICS.md's `blindness/`; {} if there is nothing to ask."""
    swapped = swap_pictures(prompts, config.blindness.num_prompts)
    asked = prompts_to_ask(swapped)
    if not asked:
        return {}
    adapter = load_adapter(config.model)
    answered = asyncio.run(_answers(config, adapter, asked))
    units = units_to_score(answered)
    rows = [row for unit in units for row in unit]

    from vr1_ray.training.reference import ReferencePolicy  # torch: only where a model is loaded

    policy = ReferencePolicy(
        model=config.model,
        trainer=config.trainer,
        num_threads=config.reference.num_threads,
        deterministic=config.deterministic,
    )
    scored = policy.compute_logprobs(rows, images_of(asked, units))
    logprobs = {row.row_id: found for row, found in zip(rows, scored, strict=True)}
    return blindness_figures(looks_of(answered, logprobs), config.blindness.min_logprob_drop)


async def _answers(
    config: RunConfig, adapter: ModelAdapter, prompts: list[Prompt]
) -> list[Answered]:
    """A greedy response to each prompt. Raises TimeoutError, naming the setting, for an engine that takes too long."""
    start, step = config.cluster.start_timeout_seconds, config.cluster.step_timeout_seconds
    # vLLM reads these when it is imported: its own limit on its start, and standard output is for the table.
    os.environ["VLLM_ENGINE_READY_TIMEOUT_S"] = str(max(1, int(start)))
    os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
    engine = rollout_engine_class(config.rollout.engine)(
        model=config.model, rollout=config.rollout, adapter=adapter
    )
    spec = SamplingSpec(
        max_response_tokens=_budget(config, adapter, prompts), group_size=1, temperature=0.0
    )

    async def answer(prompt: Prompt) -> Answered:
        rendered, images = adapter.render(prompt), adapter.open_images(prompt.images)
        [sample] = await engine.generate(prompt.prompt_id, rendered, images, spec, [0])
        return Answered(
            prompt=prompt,
            prompt_ids=rendered.prompt_ids,
            response_ids=tuple(sample.response_ids),
            text=adapter.decode(tuple(sample.response_ids)),
        )

    try:
        async with _within(start, "cluster.start_timeout_seconds", "starting the engine"):
            await engine.start()
        async with _within(step, "cluster.step_timeout_seconds", "answering the probe's questions"):
            return list(await asyncio.gather(*map(answer, prompts)))
    finally:
        await engine.close()


@asynccontextmanager
async def _within(seconds: float, field: str, phase: str) -> AsyncIterator[None]:
    """A time limit whose error says what took too long, and which setting to raise."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as late:
        raise TimeoutError(f"{phase} took more than {seconds:g} s; raise {field}") from late


def _budget(config: RunConfig, adapter: ModelAdapter, prompts: list[Prompt]) -> int:
    """Tokens of a response: as the settings say, and no more than the model has room for."""
    stages = enabled_stages(config)
    wanted = (
        config.blindness.max_response_tokens
        or (stages[0].max_response_tokens if stages else 0)
        or config.eval.max_response_tokens
        or DEFAULT_TOKENS
    )
    longest = max(len(adapter.render(prompt).prompt_ids) for prompt in prompts)
    return max(1, min(wanted, config.model.max_model_len - longest))
