"""Rules between the fields of a config: what a type can't say. Checked before anything is started.

Each rule yields one line: the field, its value, and the cure. Add a rule as a generator below and to RULES.
"""

import re
from collections.abc import Iterator

from vr1_ray.config.blindness import blindness_problems
from vr1_ray.config.filter import filter_problems
from vr1_ray.config.loading import ConfigError
from vr1_ray.config.placement import placement_problems
from vr1_ray.config.schema import RunConfig
from vr1_ray.config.secrets import secrets_in


def check_config(config: RunConfig) -> None:
    """Raise ConfigError listing everything that is wrong, one line each."""
    found = [problem for rule in RULES for problem in rule(config)]
    if found:
        raise ConfigError("\n".join(found))


def _names(config: RunConfig) -> Iterator[str]:
    if not re.fullmatch(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*", config.name) or ".." in config.name:
        yield f"name: {config.name!r} can't be a run folder; use letters, digits, '.', '_', '-'"
    if config.kind in ("sft", "rl", "eval", "filter") and not config.model.path:
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
    if config.max_steps < 0 or config.num_epochs <= 0:
        yield f"max_steps, num_epochs: {config.max_steps}, {config.num_epochs:g}; give at least 0 (by epochs), and above 0"
    if config.trainer.offload_optimizer and config.trainer.zero_stage == 0:
        yield "trainer.offload_optimizer: true, but trainer.zero_stage 0 has no part of it to move; use 1, 2 or 3"
    if config.model.attention == "flash_attention_2" and config.model.dtype != "bfloat16":
        yield "model.attention: flash_attention_2 computes in bfloat16; set model.dtype=bfloat16, or attention=auto"


def _positive(config: RunConfig) -> Iterator[str]:
    counts = {
        "prompts_per_step": config.prompts_per_step,
        "trainer.num_workers": config.trainer.num_workers,
        "trainer.mini_batches_per_step": config.trainer.mini_batches_per_step,
        "trainer.max_tokens_per_micro_batch": config.trainer.max_tokens_per_micro_batch,
        "trainer.logprob_chunk_tokens": config.trainer.logprob_chunk_tokens,
        "rollout.num_engines": config.rollout.num_engines,
        "rollout.max_concurrent_responses": config.rollout.max_concurrent_responses,
        "invalid_rollouts.max_attempts": config.invalid_rollouts.max_attempts,
        "model.max_model_len": config.model.max_model_len,
        "model.max_images": config.model.max_images,
        "checkpoint.keep_last": config.checkpoint.keep_last,
    }
    for key, value in counts.items():
        if value < 1:
            yield f"{key}: {value} must be at least 1"
    if config.checkpoint.grace_seconds <= 0:
        yield f"checkpoint.grace_seconds: {config.checkpoint.grace_seconds} must be above 0"
    if not 0 <= config.data.max_bad_rows <= 1:
        yield f"data.max_bad_rows: {config.data.max_bad_rows} is a share of rows; give 0 to 1"
    for key, value in {
        "trainer.max_restarts": config.trainer.max_restarts,
        "reference.max_restarts": config.reference.max_restarts,
        "curriculum.max_restarts": config.curriculum.max_restarts,
    }.items():
        if value < 0:
            yield f"{key}: {value} must be at least 0, which is never"
    skipped = config.trainer.max_skipped_updates
    if skipped < 0:
        yield f"trainer.max_skipped_updates: {skipped} must be at least 0, which ends the run at the first"
    limit = config.trainer.collective_timeout_seconds
    if limit <= 0:
        yield f"trainer.collective_timeout_seconds: {limit:g} must be above 0"
    if config.trainer.zero_stage not in (0, 1, 2, 3):
        yield f"trainer.zero_stage: {config.trainer.zero_stage} is not a ZeRO stage; use 0, 1, 2 or 3"


def _demonstrations(config: RunConfig) -> Iterator[str]:
    share = config.data.max_unrewarded_share
    if not 0 <= share <= 1:  # nor nan
        yield f"data.max_unrewarded_share: {share:g} is a share of demonstrations; give 0 to 1"


def _alarms(config: RunConfig) -> Iterator[str]:
    for key in ("alarm_logprob_mean", "alarm_logprob_p99"):
        most = getattr(config.trainer, key)
        if most is not None and not most > 0:  # nor nan
            yield f"trainer.{key}: {most:g} must be above 0; null takes the default of model.dtype"


def _stages(config: RunConfig) -> Iterator[str]:
    if config.kind != "rl":
        return
    enabled = [stage for stage in config.curriculum.stages if stage.enabled]
    if not enabled:
        yield "curriculum.stages: none is enabled; give at least one {max_response_tokens, group_size, steps}"
    room = config.model.max_model_len - config.data.max_prompt_tokens
    for number, stage in enumerate(enabled, start=1):
        where = f"curriculum.stages[{number}]"
        if stage.max_response_tokens > room:
            yield (
                f"{where}.max_response_tokens: {stage.max_response_tokens} does not fit: model.max_model_len "
                f"{config.model.max_model_len} less data.max_prompt_tokens {config.data.max_prompt_tokens} leaves "
                f"{room}; raise model.max_model_len to {config.data.max_prompt_tokens + stage.max_response_tokens}"
            )
        if stage.group_size < 2:
            yield f"{where}.group_size: {stage.group_size} gives no group to compare with; use 2 or more"
        if stage.steps < 1 or stage.max_response_tokens < 1:
            yield f"{where}: steps {stage.steps} and max_response_tokens {stage.max_response_tokens} must be positive"


def _eval_fits(config: RunConfig) -> Iterator[str]:
    if config.kind not in ("rl", "eval"):
        return
    room = config.model.max_model_len - config.data.max_prompt_tokens
    if config.eval.max_response_tokens > room:
        yield (
            f"eval.max_response_tokens: {config.eval.max_response_tokens} does not fit: model.max_model_len less "
            f"data.max_prompt_tokens leaves {room}"
        )
    if config.kind == "eval" and config.eval.max_response_tokens < 1:
        yield "eval.max_response_tokens: an evaluation on its own has no stage to take it from; set it"


def _eval_counts(config: RunConfig) -> Iterator[str]:
    found = config.eval
    for key, value, none in (
        ("every_steps", found.every_steps, "to evaluate at no step in between"),
        ("max_prompts", found.max_prompts, "for all"),
        ("max_questions", found.max_questions, "for all"),
    ):
        if value < 0:
            yield f"eval.{key}: {value} is negative; use 0 {none}"


def _eval_samples(config: RunConfig) -> Iterator[str]:
    found = config.eval
    if found.num_samples < 1:
        yield f"eval.num_samples: {found.num_samples} must be at least 1"
    if found.num_samples > 1 and found.temperature <= 0:
        yield (
            f"eval.num_samples: {found.num_samples} greedy samples of a question are equal; set "
            "eval.temperature (paper: 0.6, with eval.top_p=0.95)"
        )
    if not 0 < found.top_p <= 1:
        yield f"eval.top_p: {found.top_p} is not in (0, 1]; use 1.0"
    if found.protocol == "paper" and found.temperature <= 0:
        yield (
            f"eval.temperature: {found.temperature:g} is greedy, so the paper's harness would draw the same response five "
            "times; set it to 0.6, with eval.top_p=0.95"
        )
    if found.protocol == "paper" and found.num_samples > 1:
        yield "eval.num_samples: the paper's harness keeps one sample a question; set it to 1"
    if not 0 <= found.judge.max_missing <= 1:
        yield f"eval.judge.max_missing: {found.judge.max_missing} is a share; use 0 to 1"


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
    if config.algorithm.kl_coef < 0:
        yield f"algorithm.kl_coef: {config.algorithm.kl_coef} is negative; use 0 for no KL term"
    if config.algorithm.entropy_coef < 0:
        yield (
            f"algorithm.entropy_coef: {config.algorithm.entropy_coef} is negative, which would make the policy sure of "
            "itself; use 0 for no entropy bonus"
        )


def _aggregation(config: RunConfig) -> Iterator[str]:
    algorithm = config.algorithm
    if (algorithm.loss_aggregation == "constant_length") != (algorithm.loss_length > 0):
        yield (
            f"algorithm.loss_length: {algorithm.loss_length} with loss_aggregation {algorithm.loss_aggregation}; "
            "constant_length divides by it (the longest stage's budget, max_response_tokens), the others leave it 0"
        )


def _reward_pools(config: RunConfig) -> Iterator[str]:
    known = ", ".join(config.reward_pools)
    for number, spec in enumerate(config.rewards):
        if spec.pool not in config.reward_pools:
            yield f"rewards[{number}].pool: {spec.pool!r} is none of reward_pools ({known}); add it there"
    for name, pool in config.reward_pools.items():
        where = f"reward_pools.{name}"
        if pool.num_actors < 1:
            yield f"{where}.num_actors: {pool.num_actors} must be at least 1"
        least, most = pool.min_actors or pool.num_actors, pool.max_actors or pool.num_actors
        if not least <= pool.num_actors <= most:
            yield (
                f"{where}.num_actors: {pool.num_actors} is not between min_actors {pool.min_actors} and "
                f"max_actors {pool.max_actors} (0 stands for num_actors)"
            )
        if pool.timeout_seconds <= 0:
            yield f"{where}.timeout_seconds: {pool.timeout_seconds} must be above 0"
    if not 0 <= config.invalid_rollouts.max_rate <= 1:
        yield f"invalid_rollouts.max_rate: {config.invalid_rollouts.max_rate} is a share; use 0 to 1"


def _bridge(config: RunConfig) -> Iterator[str]:
    if config.kind != "bridge":
        return
    bridge = config.bridge
    if not bridge.sources and not bridge.rehearsal.num_questions:
        yield "bridge.sources: empty; list {reader, path} of at least one source"
    if bridge.sources and bridge.rehearsal.num_questions:
        yield "bridge.sources: a rehearsal draws its own; remove them, or set bridge.rehearsal.num_questions=0"
    for key in ("max_candidates", "candidates_at_once", "rows_per_block", "rows_per_shard"):
        if getattr(bridge, key) < 1:
            yield f"bridge.{key}: {getattr(bridge, key)} must be at least 1"


def _engines(config: RunConfig) -> Iterator[str]:
    rollout, health = config.rollout, config.rollout.health
    if rollout.min_engines and not rollout.max_engines:
        yield f"rollout.min_engines: {rollout.min_engines} means nothing without max_engines; set both"
    wanted = {"rollout.num_engines": rollout.num_engines}
    for number, stage in enumerate(config.curriculum.stages, start=1):
        if stage.enabled and stage.num_engines:
            wanted[f"curriculum.stages[{number}].num_engines"] = stage.num_engines
    least = max(rollout.min_engines, health.min_healthy)
    for key, value in wanted.items():
        if value < least or (rollout.max_engines and value > rollout.max_engines):
            yield (
                f"{key}: {value} is not between {least} (rollout.min_engines, rollout.health.min_healthy) and "
                f"rollout.max_engines {rollout.max_engines or 'without limit'}"
            )
    if any(size < 1 for size in rollout.sizes):
        yield f"rollout.tensor_parallel_sizes: {rollout.sizes}; each must be at least 1"
    if not (rollout.num_cpus_per_engine or rollout.num_gpus_per_engine or rollout.resources):
        yield "rollout.num_cpus_per_engine: 0, and nothing else is reserved for an engine; use 0.1"
    limits = {
        "probe_seconds": health.probe_seconds,
        "probe_timeout_seconds": health.probe_timeout_seconds,
        "probes_until_dead": health.probes_until_dead,
        "min_healthy": health.min_healthy,
    }
    for name, limit in limits.items():
        if limit <= 0:
            yield f"rollout.health.{name}: {limit} must be above 0"


RULES = (
    _names,
    _positive,
    _demonstrations,
    _cannot_work,
    _alarms,
    blindness_problems,
    _stages,
    _eval_fits,
    _eval_counts,
    _eval_samples,
    _batches,
    _sampling,
    _aggregation,
    _reward_pools,
    _engines,
    placement_problems,
    filter_problems,
    _bridge,
    secrets_in,
)
