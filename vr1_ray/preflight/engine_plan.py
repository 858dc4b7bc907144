"""Rows of the plan about what samples: an engine's weights, its KV cache, and how many sequences fit in it."""

from collections.abc import Iterator
from dataclasses import replace

from vr1_ray.config import RunConfig
from vr1_ray.config.demand import enabled_stages
from vr1_ray.preflight.limits import Machine, gib, judged
from vr1_ray.preflight.memory import (
    DTYPE_BYTES,
    ENGINE_RESERVE,
    GIB,
    engine_kv_bytes,
    engine_weight_bytes,
)
from vr1_ray.preflight.model_size import ModelSize
from vr1_ray.preflight.table import CheckRow
from vr1_ray.wording import counted

WIDER = "a larger rollout.tensor_parallel_size"


def engine_rows(config: RunConfig, machine: Machine, size: ModelSize) -> Iterator[CheckRow]:
    """Memory of one engine's device, and what it holds at each stage; for each size of engines."""
    sizes = config.rollout.sizes
    for index in sorted({sizes.index(one) for one in sizes}):
        label = f"engine of {sizes[index]}" if len(set(sizes)) > 1 else "engine"
        one = replace(config, rollout=config.rollout.of_engine(index))
        yield from _rows_of_one(one, machine, size, label)


def _rows_of_one(
    config: RunConfig, machine: Machine, size: ModelSize, label: str
) -> Iterator[CheckRow]:
    yield from _parallel_rows(config, size, label)
    rollout, dtype_bytes = config.rollout, DTYPE_BYTES[config.model.dtype]
    parallel, is_gpu = rollout.tensor_parallel_size, rollout.num_gpus_per_engine > 0
    weights = engine_weight_bytes(size, dtype_bytes=dtype_bytes, tensor_parallel=parallel)
    room = machine.gpu_gib * GIB * rollout.gpu_memory_utilization
    yield judged(f"{label}: weights a device", weights, room if is_gpu else None, WIDER)
    cache = room - weights - ENGINE_RESERVE if is_gpu else rollout.kv_cache_gib * GIB
    per_token = engine_kv_bytes(size, dtype_bytes=dtype_bytes, tensor_parallel=parallel)
    tokens = max(0, int(cache / per_token))
    yield _cache_row(config, label, cache, tokens, per_token)
    for number, stage in enumerate(enabled_stages(config) if config.kind == "rl" else [], start=1):
        length = config.data.max_prompt_tokens + stage.max_response_tokens
        fits = tokens // length
        is_low = fits < stage.group_size
        yield CheckRow(
            name=f"stage {number}: an {label}",
            value=f"{counted(fits, 'sequence')} of {counted(length, 'token')} at once",
            limit=f"{stage.group_size}, a group",
            status="warning" if is_low else "ok",
            cure=f"a group at its cap waits for room; {_more_cache(config)}" if is_low else "",
        )


def _cache_row(
    config: RunConfig, label: str, cache: float, tokens: int, per_token: float
) -> CheckRow:
    longest = config.model.max_model_len
    is_enough = tokens >= longest
    cure = f"one sequence of model.max_model_len must fit; {_more_cache(config)}"
    return CheckRow(
        name=f"{label}: KV cache a device",
        value=f"{gib(max(0.0, cache))}, {counted(tokens, 'token')} of {per_token:,.0f} B",
        limit=f"{longest:,} tokens",
        status="ok" if is_enough else "bad",
        cure="" if is_enough else cure,
    )


def _more_cache(config: RunConfig) -> str:
    if config.rollout.num_gpus_per_engine > 0:
        return f"raise rollout.gpu_memory_utilization, or take {WIDER}"
    return "raise rollout.kv_cache_gib"


def _parallel_rows(config: RunConfig, size: ModelSize, label: str) -> Iterator[CheckRow]:
    """What vLLM refuses at start, after minutes of loading."""
    parallel, gpus = config.rollout.tensor_parallel_size, config.rollout.num_gpus_per_engine
    heads = size.text.num_heads
    if gpus > 0 and gpus != parallel:
        cure = "an engine needs a GPU per tensor-parallel rank; set both to the same number"
        yield CheckRow(
            name=f"{label}: GPUs",
            value=f"rollout.num_gpus_per_engine {gpus:g}",
            limit=f"rollout.tensor_parallel_size {parallel}",
            status="bad",
            cure=cure,
        )
    if heads % parallel:
        fitting = [number for number in range(1, heads + 1) if heads % number == 0]
        yield CheckRow(
            name=f"{label}: attention heads",
            value=f"{heads} heads",
            limit=f"rollout.tensor_parallel_size {parallel}",
            status="bad",
            cure=f"{heads} heads divide by {', '.join(map(str, fitting))}; take one of these",
        )
