"""Rules between the fields of a config: what a type and a range can't say. Checked before anything is started.

The range of a number stands beside its field (`ranges.py`). Each rule yields one line: the field, its value, and the cure. Add a rule as a generator below and to RULES.
"""

import re
from collections.abc import Iterator

from vr1_ray.config.demand import keyed_stages
from vr1_ray.config.errors import ConfigError
from vr1_ray.config.fields import numbers_out_of_range
from vr1_ray.config.filter import filter_problems
from vr1_ray.config.placement import placement_problems
from vr1_ray.config.schema import RunConfig
from vr1_ray.config.secrets import secrets_in
from vr1_ray.wording import did_you_mean


def check_config(config: RunConfig) -> None:
    """Raise ConfigError listing everything that is wrong, one line each."""
    found = [problem for rule in RULES for problem in rule(config)]
    if found:
        raise ConfigError("\n".join(found))


def _names(config: RunConfig) -> Iterator[str]:
    if not re.fullmatch(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*", config.name) or ".." in config.name:
        yield f"name: {config.name!r} can't be a run folder; use letters, digits, '.', '_', '-'"
    is_elsewhere = config.kind == "eval" and config.eval.is_elsewhere
    needs_model = config.kind in ("sft", "rl", "eval", "filter")
    if needs_model and not config.model.path and not is_elsewhere:
        yield "model.path: empty; give a model folder or hub name, such as examples/vr1_tiny/model"
    if config.kind in ("rl", "filter") and not config.data.train:
        yield "data.train: empty; give a parquet or JSONL file, a dataset folder or a hub name"
    if config.kind == "sft" and not config.data.demonstrations:
        yield "data.demonstrations: empty; list the sharegpt JSON files of the cold start"
    wants_eval = config.eval.is_during_training
    if (config.kind == "eval" or (config.kind == "rl" and wants_eval)) and not (
        config.eval.data or config.benchmarks
    ):
        yield "eval.data: empty; give the held-out data or benchmarks=[...], or turn evaluation off"


def _cannot_work(config: RunConfig) -> Iterator[str]:
    """Settings that are of the right type, and that nothing could be done with."""
    if config.kind == "rl" and config.algorithm.name == "sft":
        yield "algorithm.name: sft learns from demonstrations, not from rewards; use grpo, or kind: sft"
    if config.trainer.offload_optimizer and config.trainer.zero_stage == 0:
        yield "trainer.offload_optimizer: true, but trainer.zero_stage 0 has no part of it to move; use 1, 2 or 3"
    if config.model.attention == "flash_attention_2" and config.model.dtype != "bfloat16":
        yield "model.attention: flash_attention_2 computes in bfloat16; set model.dtype=bfloat16, or attention=auto"


def _pairs(config: RunConfig) -> Iterator[str]:
    """Numbers that are a least and a most, and AdamW's two."""
    model, bridge, betas = config.model, config.bridge, config.trainer.optimizer.betas
    if model.min_pixels > model.max_pixels:
        yield f"model.min_pixels: {model.min_pixels} is above model.max_pixels {model.max_pixels}; lower it"
    if config.rollout.max_engines and config.rollout.min_engines > config.rollout.max_engines:
        yield (
            f"rollout.min_engines: {config.rollout.min_engines} is above rollout.max_engines "
            f"{config.rollout.max_engines}; lower it"
        )
    if bridge.candidates_at_once > bridge.max_candidates:
        yield (
            f"bridge.candidates_at_once: {bridge.candidates_at_once} is above bridge.max_candidates "
            f"{bridge.max_candidates}; lower it"
        )
    if len(betas) != 2:
        yield f"trainer.optimizer.betas: {betas}; AdamW has two, such as [0.9, 0.999]"
    if config.data.max_prompt_tokens >= model.max_model_len and config.kind in ("rl", "eval"):
        yield (
            f"data.max_prompt_tokens: {config.data.max_prompt_tokens} leaves no room for a response in "
            f"model.max_model_len {model.max_model_len}; raise that, or lower it"
        )


def _stages(config: RunConfig) -> Iterator[str]:
    if config.kind != "rl":
        return
    if not keyed_stages(config):
        yield "curriculum.stages: none is enabled; give at least one {max_response_tokens, group_size, steps}"
    room = config.model.max_model_len - config.data.max_prompt_tokens
    for where, stage in keyed_stages(config):
        if stage.max_response_tokens > room > 0:
            yield (
                f"{where}.max_response_tokens: {stage.max_response_tokens} does not fit: model.max_model_len "
                f"{config.model.max_model_len} less data.max_prompt_tokens {config.data.max_prompt_tokens} leaves "
                f"{room}; raise model.max_model_len to {config.data.max_prompt_tokens + stage.max_response_tokens}"
            )


def _eval_fits(config: RunConfig) -> Iterator[str]:
    if config.kind not in ("rl", "eval") or config.eval.responses:
        return
    room = config.model.max_model_len - config.data.max_prompt_tokens
    if config.eval.max_response_tokens > room and not config.eval.policy.model:
        yield (
            f"eval.max_response_tokens: {config.eval.max_response_tokens} does not fit: model.max_model_len less "
            f"data.max_prompt_tokens leaves {room}"
        )
    if config.kind == "eval" and config.eval.max_response_tokens < 1:
        yield "eval.max_response_tokens: an evaluation on its own has no stage to take it from; set it"


def _eval_elsewhere(config: RunConfig) -> Iterator[str]:
    found = config.eval
    if not found.is_elsewhere:
        return
    field = "eval.responses" if found.responses else "eval.policy.model"
    if config.kind != "eval":
        yield f"{field}: evaluates a policy made elsewhere, and this is a run of kind {config.kind}; use kind eval"
    if found.responses and found.policy.model:
        yield "eval.responses: names a file while eval.policy.model names an endpoint; keep one of them"
    if found.data or not config.benchmarks:
        yield f"{field}: answers benchmarks only; name them in benchmarks=[...] and leave eval.data empty"


def _eval_samples(config: RunConfig) -> Iterator[str]:
    found = config.eval
    if found.num_samples > 1 and found.temperature <= 0 and not found.responses:
        yield (
            f"eval.num_samples: {found.num_samples} greedy samples of a question are equal; set "
            "eval.temperature (paper: 0.6, with eval.top_p=0.95)"
        )
    if found.protocol == "paper" and found.temperature <= 0 and not found.responses:
        yield (
            f"eval.temperature: {found.temperature:g} is greedy, so the paper's harness would draw the same response five "
            "times; set it to 0.6, with eval.top_p=0.95"
        )
    if found.protocol == "paper" and found.num_samples > 1:
        yield "eval.num_samples: the paper's harness keeps one sample a question; set it to 1"


def _batches(config: RunConfig) -> Iterator[str]:
    parts = config.trainer.mini_batches_per_step
    if parts >= 1 and config.prompts_per_step % parts:
        yield (
            f"prompts_per_step: {config.prompts_per_step} does not divide into trainer.mini_batches_per_step "
            f"{parts}; use a multiple of {parts}"
        )


def _sampling(config: RunConfig) -> Iterator[str]:
    if config.kind == "rl" and config.rollout.top_p != 1.0:
        yield (
            f"rollout.top_p: {config.rollout.top_p} would give engine and trainer different supports; "
            "use 1.0 in training"
        )
    if config.kind == "rl" and config.rollout.temperature <= 0:
        yield f"rollout.temperature: {config.rollout.temperature} samples equal groups; use 1.0"


def _aggregation(config: RunConfig) -> Iterator[str]:
    algorithm = config.algorithm
    if (algorithm.loss_aggregation == "constant_length") != (algorithm.loss_length > 0):
        yield (
            f"algorithm.loss_length: {algorithm.loss_length} with loss_aggregation {algorithm.loss_aggregation}; "
            "constant_length divides by it (the longest stage's budget, max_response_tokens), the others leave it 0"
        )


def _bounds(config: RunConfig) -> Iterator[str]:
    """Bounds of ratios: each is off at 0."""
    algorithm = config.algorithm
    if config.kind != "rl":
        return
    if 0 < algorithm.dual_clip <= 1 + algorithm.clip_high:
        yield (
            f"algorithm.dual_clip: {algorithm.dual_clip} must lie above 1 + clip_high {algorithm.clip_high}, "
            "which it is a second bound to; use 3, or 0 for none"
        )
    if 0 < algorithm.importance_cap < 1:
        yield f"algorithm.importance_cap: {algorithm.importance_cap} would weaken every token; use 2, or 0 for none"
    if algorithm.importance_cap and algorithm.old_logprobs == "rollout":
        yield (
            f"algorithm.importance_cap: {algorithm.importance_cap} with old_logprobs rollout, whose ratios are to the engine's "
            "probabilities already; set algorithm.old_logprobs=trainer, or the cap to 0"
        )


def _reward_pools(config: RunConfig) -> Iterator[str]:
    known = ", ".join(config.reward_pools)
    for number, spec in enumerate(config.rewards):
        if spec.pool not in config.reward_pools:
            meant = did_you_mean(spec.pool, config.reward_pools)
            yield f"rewards[{number}].pool: {spec.pool!r} is none of reward_pools ({known}); add it there.{meant}"
    for name, pool in config.reward_pools.items():
        where = f"reward_pools.{name}"
        least, most = pool.min_actors or pool.num_actors, pool.max_actors or pool.num_actors
        if not least <= pool.num_actors <= most:
            yield (
                f"{where}.num_actors: {pool.num_actors} is not between min_actors {pool.min_actors} and "
                f"max_actors {pool.max_actors} (0 stands for num_actors)"
            )


def _named_twice(config: RunConfig) -> Iterator[str]:
    """What stands twice in a list of which each is used once."""
    bridge = config.bridge
    lists: dict[str, list[tuple[str, str]]] = {
        "rewards": [(one.name, ".name") for one in config.rewards],
        "benchmarks": [(one, "") for one in config.benchmarks],
        "bridge.sources": [(one.path, ".path") for one in bridge.sources],
        "bridge.mllm.base_urls": [(one, "") for one in bridge.mllm.base_urls],
        "bridge.reasoner.base_urls": [(one, "") for one in bridge.reasoner.base_urls],
    }
    cures = {"rewards": ", with the sum of the weights, or write one as package.module:Name"}
    for key, entries in lists.items():
        for place, entry in enumerate(entries):
            first = entries.index(entry)
            if first < place:
                yield (
                    f"{key}[{place}]{entry[1]}: {entry[0]!r} stands in {key}[{first}] already; keep one"
                    f"{cures.get(key, '')}"
                )


def _bridge(config: RunConfig) -> Iterator[str]:
    if config.kind != "bridge":
        return
    bridge = config.bridge
    if not bridge.sources and not bridge.rehearsal.num_questions:
        yield "bridge.sources: empty; list {reader, path} of at least one source"
    if bridge.sources and bridge.rehearsal.num_questions:
        yield "bridge.sources: a rehearsal draws its own; remove them, or set bridge.rehearsal.num_questions=0"


def _engines(config: RunConfig) -> Iterator[str]:
    rollout, health = config.rollout, config.rollout.health
    if rollout.min_engines and not rollout.max_engines:
        yield f"rollout.min_engines: {rollout.min_engines} means nothing without max_engines; set both"
    wanted = {"rollout.num_engines": rollout.num_engines}
    for where, stage in keyed_stages(config):
        if stage.num_engines:
            wanted[f"{where}.num_engines"] = stage.num_engines
    least = max(rollout.min_engines, health.min_healthy)
    for key, value in wanted.items():
        if value < least or (rollout.max_engines and value > rollout.max_engines):
            yield (
                f"{key}: {value} is not between {least} (rollout.min_engines, rollout.health.min_healthy) and "
                f"rollout.max_engines {rollout.max_engines or 'without limit'}"
            )
    if not (rollout.num_cpus_per_engine or rollout.num_gpus_per_engine or rollout.resources):
        yield "rollout.num_cpus_per_engine: 0, and nothing else is reserved for an engine; use 0.1"


RULES = (
    numbers_out_of_range,
    _names,
    _pairs,
    _cannot_work,
    _stages,
    _eval_fits,
    _eval_elsewhere,
    _eval_samples,
    _batches,
    _sampling,
    _aggregation,
    _bounds,
    _reward_pools,
    _named_twice,
    _engines,
    placement_problems,
    filter_problems,
    _bridge,
    secrets_in,
)
