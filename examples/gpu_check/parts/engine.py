"""One engine and a trainer on one device: it starts, bans, keeps to its seeds, and both give the same numbers.

Prompts have none, one or two pictures. After an update the engine takes the new weights and is compared again, on
the same prompts, for which every cache of the engine is full of what the old weights made of them.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from examples.gpu_check.bench import Bench, CheckFailedError
from examples.gpu_check.models import SHAPES, make_prompts, random_model
from examples.gpu_check.scoring import (
    LIMITS,
    alone,
    differences,
    images_of,
    one_trainer,
    require_close,
    rows_of_samples,
)
from vr1_ray.config import ModelConfig, RolloutConfig
from vr1_ray.models import load_adapter
from vr1_ray.rollout import Sample, rollout_engine_class
from vr1_ray.types import Prompt, SamplingSpec
from vr1_ray.weights.packing import pack_buckets

CALL_SECONDS = 120.0
START_SECONDS = 240.0  # vLLM compiles on a GPU
START_TOKENS = 16  # of a response, that must be the same
SAME_ON_GPU = 0.75  # share of responses that start the same: kernels there depend on the batch


class Sampler:
    """An engine with an event loop of its own, for code that has none."""

    def __init__(self, bench: Bench, model: ModelConfig) -> None:
        self.loop = asyncio.new_event_loop()
        self.adapter = load_adapter(model)
        rollout = RolloutConfig(
            num_threads=bench.pick(cpu=1, gpu=4),
            kv_cache_gib=0.25,
            gpu_memory_utilization=0.3,
            max_num_seqs=64,
            verify_weights=True,
        )
        self.engine: Any = rollout_engine_class(bench.engine)(
            model=model,
            rollout=rollout,
            adapter=self.adapter,
            log_file=str(bench.folder / "engine.log"),
        )
        self.run(self.engine.start(), START_SECONDS)

    def run(self, call: Coroutine[Any, Any, Any], seconds: float = CALL_SECONDS) -> Any:
        """Wait for a call. Raises CheckFailedError past the limit."""
        try:
            return self.loop.run_until_complete(asyncio.wait_for(call, seconds))
        except TimeoutError as error:
            raise CheckFailedError(f"the engine did not answer within {seconds:.0f} s") from error

    def sample(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], tokens: int
    ) -> list[list[Sample]]:
        """A sample for each seed, of each prompt, all at once."""

        async def all_at_once() -> list[list[Sample]]:
            return list(await asyncio.gather(*(self.one(p, seeds, tokens) for p in prompts)))

        return self.run(all_at_once())

    async def one(self, prompt: Prompt, seeds: Sequence[int], tokens: int) -> list[Sample]:
        """A sample for each seed of one prompt."""
        spec = SamplingSpec(max_response_tokens=tokens, group_size=len(seeds))
        rendered, images = self.adapter.render(prompt), self.adapter.open_images(prompt.images)
        return await self.engine.generate(prompt.prompt_id, rendered, images, spec, list(seeds))

    def close(self) -> None:
        self.run(self.engine.close())
        self.loop.close()


def check(bench: Bench) -> None:
    """All rows, in the recipes' dtype."""
    model = _model(bench, bench.dtype)
    with bench.row("engine_starts", is_vital=True) as figures:
        sampler = Sampler(bench, model)
        figures |= {"engine": bench.engine, "dtype": model.dtype} | _vllm_facts(sampler.engine)
    try:
        with bench.row("ban") as figures:
            _ban(bench, sampler, figures)
        with bench.row("seeds") as figures:
            _seeds(bench, sampler, figures)
        _parity(bench, sampler, model, ("parity", "parity_synced"))
    finally:
        sampler.close()


def check_fp32(bench: Bench) -> None:
    """Parity in float32: what is left is no rounding of weights."""
    model = _model(bench, "float32")
    sampler = Sampler(bench, model)
    try:
        _parity(bench, sampler, model, ("parity_fp32", "parity_fp32_synced"))
    finally:
        sampler.close()


def _model(bench: Bench, dtype: str) -> ModelConfig:
    shape = SHAPES[bench.pick(cpu="tiny", gpu="small")]
    folder = random_model(bench.folder / "model", shape, dtype=dtype, device=bench.device)
    # Pictures are enlarged to about 250 vision tokens on a GPU.
    return ModelConfig(
        path=str(folder),
        dtype=dtype,  # type: ignore[arg-type]
        min_pixels=bench.pick(cpu=784, gpu=200_704),
        max_model_len=bench.pick(cpu=256, gpu=2048),
    )


def _vllm_facts(engine: Any) -> dict[str, Any]:
    """Which model runner vLLM took, and whether it compiled; nothing of another engine."""
    config = getattr(getattr(engine, "_engine", None), "vllm_config", None)
    if config is None:
        return {}
    return {
        "model_runner": "V2" if config.use_v2_model_runner else "V1",
        "eager": bool(config.model_config.enforce_eager),
    }


def _ban(bench: Bench, sampler: Sampler, figures: dict[str, Any]) -> None:
    """Weights are random, so that without the ban the banned ids would come as often as all others."""
    samples = sampler.sample(make_prompts(4), range(16), bench.pick_sampled(few=40, many=256))
    sampled = [token for group in samples for sample in group for token in sample.response_ids]
    banned = set(sampler.adapter.banned_ids)
    share = len(banned) / sampler.adapter.vocab_size  # type: ignore[attr-defined]
    found = sorted(banned & set(sampled))
    figures |= {
        "tokens": len(sampled),
        "banned_sampled": len(found),
        "expected_without_ban": round(share * len(sampled)),
    }
    if found:
        raise CheckFailedError(f"banned tokens were sampled: {found[:8]}")


def _seeds(bench: Bench, sampler: Sampler, figures: dict[str, Any]) -> None:
    tokens = bench.pick_sampled(few=32, many=128)
    first, *others = make_prompts(4, seed=1)
    seeds = list(range(100, 108))
    expected = sampler.sample([first], seeds, tokens)[0]
    if len({sample.response_ids for sample in expected}) < len(seeds):
        raise CheckFailedError(f"{len(seeds)} seeds gave equal responses to one prompt")
    again = sampler.sample([first], seeds, tokens)[0]
    alone_ = [sampler.sample([first], [seed], tokens)[0][0] for seed in seeds]
    company = sampler.sample([*others, first, *make_prompts(4, seed=2)], seeds, tokens)[len(others)]
    least = bench.pick(cpu=1.0, gpu=SAME_ON_GPU)
    for name, found in (("again", again), ("alone", alone_), ("in_company", company)):
        whole, start = _same(expected, found)
        figures |= {f"{name}_whole": whole, f"{name}_start": start}
        if start < least:
            raise CheckFailedError(
                f"{name}: {start:.0%} of the responses start with the same {START_TOKENS} tokens, at least {least:.0%} must"
            )


def _same(expected: Sequence[Sample], found: Sequence[Sample]) -> tuple[float, float]:
    """Shares of responses that are the same as a whole, and in their first tokens."""
    pairs = [(a.response_ids, b.response_ids) for a, b in zip(expected, found, strict=True)]
    whole = sum(a == b for a, b in pairs) / len(pairs)
    return whole, sum(a[:START_TOKENS] == b[:START_TOKENS] for a, b in pairs) / len(pairs)


def _parity(bench: Bench, sampler: Sampler, model: ModelConfig, names: tuple[str, str]) -> None:
    """The engine's log-probabilities of its own samples beside the trainer's, before and after an update."""
    prompts, seeds = make_prompts(8), range(4)
    tokens = bench.pick_sampled(few=48, many=1024)
    images = images_of(prompts)
    # Sampled first: what joins a process group changes this process's environment.
    samples = sampler.sample(prompts, seeds, tokens)
    rows = rows_of_samples(sampler.adapter, prompts, samples)
    with alone(), one_trainer(bench, model) as trainer:
        with bench.row(names[0], is_vital=True) as figures:
            before = trainer.compute_logprobs(rows, images)
            _compare(before, rows, model, figures)
        with bench.row(names[1]) as figures:
            trainer.train_step([rows], images)
            after = trainer.compute_logprobs(rows, images)
            figures["moved_by"] = differences(after, before)["mean"]
            buckets = pack_buckets(trainer.named_weights(), max_bytes=64 << 20)
            sampler.run(sampler.engine.load_weights(1, buckets))
            samples = sampler.sample(prompts, seeds, tokens)
            rows = rows_of_samples(sampler.adapter, prompts, samples)
            _compare(trainer.compute_logprobs(rows, images), rows, model, figures)
            if figures["moved_by"] < 3 * figures["mean"]:
                raise CheckFailedError("the update moved too little to show that the engine has it")


def _compare(found: Any, rows: Any, model: ModelConfig, figures: dict[str, Any]) -> None:
    figures |= differences(found, [row.rollout_logprobs for row in rows]) | {"dtype": model.dtype}
    require_close(figures, LIMITS[model.dtype])
