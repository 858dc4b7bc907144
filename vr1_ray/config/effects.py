"""Which keys do something in which kind of run, and what a key that does nothing was meant to be.

A key that is set for this very run, in its own YAML section or on the command line, and has no effect is refused. What
a recipe hands down to its steps is not, nor what a run's own resolved config.yaml spells out.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from vr1_ray.config.counterparts import begins, meant_by
from vr1_ray.config.schema import RunConfig

TRAINS, EVALUATES, PROMPTED = ("sft", "rl"), ("rl", "eval"), ("rl", "filter")
SAMPLES, MODEL = (*EVALUATES, "filter"), ("sft", "rl", "eval", "filter")
RUNS = (*MODEL, "bridge", "figure_math")
ACTORS = (*MODEL, "bridge")

# The longest key that begins a given one decides. Every key of the schema is in it (a test).
KINDS: dict[str, tuple[str, ...]] = {
    "kind": (*RUNS, "recipe"),
    "name": (*RUNS, "recipe"),
    "runs_folder": (*RUNS, "recipe"),
    "seed": (*RUNS, "recipe"),
    "deterministic": TRAINS,
    "num_epochs": ("sft",),
    "max_steps": ("sft",),
    "prompts_per_step": TRAINS,
    "allow_base_policy": ("rl",),
    "model": MODEL,
    "model.freeze_vision_tower": TRAINS,
    "model.freeze_projector": TRAINS,
    "data": MODEL,
    "data.train": PROMPTED,
    "data.split": (*TRAINS, "filter"),
    "data.prompt_column": SAMPLES,
    "data.answer_column": SAMPLES,
    "data.images_column": SAMPLES,
    "data.max_prompt_tokens": SAMPLES,
    "data.overlong_prompts": SAMPLES,
    "data.max_rows": (*TRAINS, "filter"),
    "data.cutoff_len": ("sft",),
    "data.demonstrations": ("sft",),
    "data.max_unrewarded_share": ("sft",),
    "trainer": TRAINS,
    "trainer.mini_batches_per_step": ("rl",),
    "trainer.alarm_logprob_mean": ("rl",),
    "trainer.alarm_logprob_p99": ("rl",),
    "rollout": SAMPLES,
    "rollout.min_engines": ("rl",),
    "rollout.max_engines": ("rl",),
    "rollout.temperature": PROMPTED,
    "rollout.top_p": PROMPTED,
    "rollout.save": ("rl",),
    "rollout.save_groups_per_step": ("rl",),
    "rollout.verify_weights": ("rl",),
    "rollout.weight_transport": ("rl",),
    "rewards": PROMPTED,
    "reward_pools": PROMPTED,
    "invalid_rollouts": PROMPTED,
    "reference": ("rl",),
    "algorithm": ("rl",),
    "algorithm.loss_aggregation": TRAINS,
    "algorithm.loss_length": TRAINS,
    "curriculum": PROMPTED,
    "blindness": MODEL,  # `vr1 check --probe` asks any policy
    "filter": PROMPTED,  # `vr1 filter` takes an RL run's config
    "eval": EVALUATES,
    "eval.at_start": ("rl",),
    "eval.at_end": ("rl",),
    "eval.every_steps": ("rl",),
    "eval.start_label": ("rl",),
    "eval.best_by": ("rl",),
    "eval.benchmarks_folder": (
        *EVALUATES,
        "sft",
    ),  # `vr1 check` looks for them in a cold start's data
    "benchmarks": (*EVALUATES, "sft"),
    "checkpoint": TRAINS,
    "checkpoint.keep_best": ("rl",),
    "checkpoint.resume": RUNS,
    "tracking": TRAINS,
    "tracking.share": (*RUNS, "recipe"),
    "cluster": ACTORS,
    "cluster.placement": ("rl",),
    "cluster.start_timeout_seconds": MODEL,
    "figure_math": ("figure_math",),
    "bridge": ("bridge",),
    "objects": (*MODEL, "recipe"),
    "steps": ("recipe",),
}


def _needs_evaluation(config: RunConfig) -> str:
    if config.kind != "rl" or config.eval.is_during_training:
        return ""
    return (
        "this run evaluates nothing; set eval.every_steps=N, eval.at_start=true or eval.at_end=true"
    )


def _needs_benchmarks(config: RunConfig) -> str:
    return "" if config.benchmarks else "this run evaluates on no benchmark; set benchmarks=[...]"


def _needs_judge(config: RunConfig) -> str:
    return "" if config.eval.judge.model else "no judge is asked; set eval.judge.model"


def _needs_eval_data(config: RunConfig) -> str:
    return "" if config.eval.data else "this run has no held-out prompts; set eval.data"


def _needs_skipping(config: RunConfig) -> str:
    return "" if config.data.bad_rows == "skip" else "rows are skipped only with data.bad_rows=skip"


def _needs_sampled(config: RunConfig) -> str:
    if config.rollout.save == "sampled":
        return ""
    return f"rollout.save={config.rollout.save} saves {config.rollout.save}; it counts with sampled"


def _needs_folder(sources: list[str]) -> str:
    if not sources or not all(sources) or not all(map(_is_one_table, sources)):
        return ""
    what = ", ".join(dict.fromkeys(sources))
    return f"{what} has no splits, as a folder or a hub name has; give one of these"


def _needs_hub(config: RunConfig) -> str:
    sources = _sources(config)
    if not sources or not all(_is_one_table(one) or Path(one).is_dir() for one in sources):
        return ""
    return f"{', '.join(dict.fromkeys(sources))} is no hub name; give one"


def _sources(config: RunConfig) -> list[str]:
    """What the run reads rows from."""
    found = {
        "sft": config.data.demonstrations,
        "eval": [config.eval.data],
        "filter": [config.data.train],
        "rl": [config.data.train, config.eval.data],
    }.get(config.kind, [])
    return [one for one in found if one]


def _is_one_table(source: str) -> bool:
    """Whether a source is a file, or rows that Python handed over, by its name alone."""
    return source.endswith((".parquet", ".jsonl", ".json")) or source.startswith("object:")


def _needs_epochs(config: RunConfig) -> str:
    if not config.max_steps:
        return ""
    return f"max_steps={config.max_steps} decides how long the run is; set one of the two"


def _needs_kl(config: RunConfig) -> str:
    return "" if config.algorithm.kl_coef > 0 else "there is no KL term; set algorithm.kl_coef"


def _needs_clip(*others: str) -> Callable[[RunConfig], str]:
    """A clip's bound, which algorithms of these names don't have."""
    return lambda config: (
        f"algorithm.name={config.algorithm.name} has no such bound; take another"
        if config.algorithm.name in others
        else ""
    )


# Keys that do something only beside other settings: "" or the reason why they do nothing here.
NEEDS: dict[str, Callable[[RunConfig], str]] = {
    "num_epochs": _needs_epochs,
    "data.split": lambda config: _needs_folder(
        config.data.demonstrations if config.kind == "sft" else [config.data.train]
    ),
    "data.revision": _needs_hub,
    "data.streaming": _needs_hub,
    "eval.split": lambda config: _needs_eval_data(config) or _needs_folder([config.eval.data]),
    "algorithm.clip_low": _needs_clip("sapo"),
    "algorithm.clip_high": _needs_clip("sapo"),
    "algorithm.dual_clip": _needs_clip("sapo", "cispo"),
    "algorithm.kl_estimator": _needs_kl,
    "algorithm.kl_in": _needs_kl,
    "algorithm.importance_level": lambda config: (
        "" if config.algorithm.importance_cap else "set algorithm.importance_cap"
    ),
    "eval.best_by": _needs_evaluation,
    "eval.start_label": lambda config: (
        "" if config.kind != "rl" or config.eval.at_start else "set eval.at_start=true"
    ),
    "eval.label": lambda config: (
        "" if config.kind != "rl" or config.eval.at_end else "set eval.at_end=true"
    ),
    "eval.max_prompts": _needs_eval_data,
    "eval.diagnosis": _needs_eval_data,
    "eval.max_questions": _needs_benchmarks,
    "eval.num_samples": _needs_benchmarks,
    "eval.protocol": _needs_benchmarks,
    "eval.judge": _needs_benchmarks,
    "eval.judge.base_url": _needs_judge,
    "eval.judge.timeout_seconds": _needs_judge,
    "eval.judge.max_attempts": _needs_judge,
    "eval.judge.backoff_seconds": _needs_judge,
    "eval.judge.max_concurrent": _needs_judge,
    "eval.judge.max_missing": _needs_judge,
    "data.max_bad_rows": _needs_skipping,
    "data.bad_rows_file": _needs_skipping,
    "rollout.save_groups_per_step": _needs_sampled,
}


def kinds_of(key: str) -> tuple[str, ...]:
    """The kinds in which a key does something: what the longest beginning of it in KINDS says.

    Raises KeyError for one that is not in the table.
    """
    return KINDS[max((start for start in KINDS if begins(start, key)), key=len, default=key)]


def without_effect(keys: Iterable[str], config: RunConfig) -> Iterator[tuple[str, str]]:
    """(key, what is wrong and what was meant) for each of the keys that does nothing in the run."""
    for key in keys:
        kinds = kinds_of(key)
        if config.kind not in kinds:
            yield key, _wrong_kind(key, config.kind, kinds)
            continue
        reasons = (needs(config) for start, needs in NEEDS.items() if begins(start, key))
        reason = next((one for one in reasons if one), "")
        if reason:
            yield key, f"has no effect here: {reason}, or leave it out"


def _wrong_kind(key: str, kind: str, kinds: tuple[str, ...]) -> str:
    return (
        f"has no effect in a run of kind {kind}, only in {', '.join(kinds)}; "
        f"{meant_by(key, kind) or 'leave it out'}"
    )
