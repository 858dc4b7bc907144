"""What is measured of groups: the metrics of a step and of an evaluation. Plain functions, no actor."""

from collections.abc import Callable
from statistics import fmean
from typing import Any

from vr1_ray.algorithms.advantages import is_informative
from vr1_ray.answers import accuracy_of
from vr1_ray.config import RunConfig
from vr1_ray.config.tables import find_function
from vr1_ray.rewards import SHARED_PARTS, hard_format_reward, parse_response
from vr1_ray.types import Rollout, RolloutGroup, Stage


def group_metrics(groups: list[RolloutGroup]) -> dict[str, float]:
    """Metrics of one step's scored groups; documented in `vr1_ray/tracking/METRICS.md`."""
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    lengths = [rollout.num_tokens for rollout in rollouts]
    return {
        "reward/mean": fmean(reward for group in groups for reward in group.rewards_G),
        "response_tokens/mean": fmean(lengths),
        "response_tokens/max": float(max(lengths)),
        "response_tokens/sum": float(sum(lengths)),
        "truncation_rate": fmean(rollout.status == "truncated" for rollout in rollouts),
        "informative_group_rate": fmean(is_informative(group.rewards_G) for group in groups),
        "time/reward": sum(group.reward_seconds for group in groups),
        **shared_means(rollouts),
        **part_means(rollouts),
    }


def stage_metrics(stage: Stage) -> dict[str, float]:
    """What the stage asked of this step."""
    return {
        "stage": stage.number,
        "max_response_tokens": stage.max_response_tokens,
        "group_size": stage.group_size,
    }


def logprob_alarms(metrics: dict[str, float], config: RunConfig) -> list[str]:
    """An alarm if engine and trainer disagree by more than rounding: a sync, rendering or numeric fault.

    By the mean and the 0.99 quantile over the step's compared tokens; one token alone may be off by rounding.
    """
    limits = config.logprob_limits
    return [
        f"engine and trainer log-probabilities differ: {name} {metrics[name]:.2g} nats (limit {limit:g}); other weights, "
        "other pixels, or a numeric fault"
        for name, limit in limits.items()
        if not metrics.get(name, 0.0) <= limit  # also what is no number
    ]


def with_trained(groups: list[RolloutGroup], trained: list[RolloutGroup]) -> list[RolloutGroup]:
    """All groups of a step, those that were trained on as the trainer got them."""
    by_prompt = {group.prompt.prompt_id: group for group in trained}
    return [by_prompt.get(group.prompt.prompt_id, group) for group in groups]


def part_means(rollouts: list[Rollout]) -> dict[str, float]:
    """`reward/NAME` of every part that a reward reports; over the rollouts that have it."""
    names = sorted(
        {name for rollout in rollouts for name in rollout.reward_parts} - {*SHARED_PARTS}
    )
    return {
        f"reward/{name}": fmean(r.reward_parts[name] for r in rollouts if name in r.reward_parts)
        for name in names
    }


def shared_means(rollouts: list[Rollout]) -> dict[str, float]:
    """`accuracy`, `format_rate` and `answer_check/bounded` over the rollouts whose reward reports them.

    What no reward of the run measures is left out: it is not known, and not 0.
    """
    named = {name: "format_rate" if name == "format" else name for name in SHARED_PARTS}
    found = {
        metric: [r.reward_parts[name] for r in rollouts if name in r.reward_parts]
        for name, metric in named.items()
    }
    return {metric: fmean(values) for metric, values in found.items() if values}


def judged(group: RolloutGroup) -> dict[str, Any]:
    """One evaluated question as a row: `accuracy` reads the text in <answer>, else the whole response."""
    rollout, prompt = group.rollouts[0], group.prompt
    row: dict[str, Any] = {
        "prompt_id": prompt.prompt_id,
        "question": prompt.question,
        "answer": prompt.answer,
        "metadata": prompt.metadata,
        "response": rollout.text,
        "response_tokens": rollout.num_tokens,
        "truncated": rollout.status == "truncated",
        "well_formed": rollout.is_finished and parse_response(rollout.text) is not None,
        "correct": bool(accuracy_of(rollout.text, prompt.answer)),
        "hard_reward": hard_format_reward(rollout.text, prompt.answer, rollout.is_finished),
    }
    return row


def name_errors(rows: list[dict[str, Any]], diagnosis: str) -> None:
    """Give each row that earned no hard reward its `error`, by the function that `eval.diagnosis` names, if any.

    The function gets the row and returns what kind of error it is, "" for none. Raises ValueError for another name.
    """
    if not diagnosis:
        return
    kind_of = find_function(diagnosis, "eval.diagnosis", {})
    for row in rows:
        kind = "" if row["hard_reward"] else _kind(kind_of, row, diagnosis)
        if kind:
            row["error"] = kind


def _kind(kind_of: Callable[..., Any], row: dict[str, Any], diagnosis: str) -> str:
    """What a diagnosis says of a row. A broken one costs its word, not the evaluation, and the word says so."""
    try:
        kind = kind_of(row)
    except Exception as error:
        return f"eval.diagnosis={diagnosis} failed: {type(error).__name__}"
    return kind if isinstance(kind, str) else f"eval.diagnosis={diagnosis} gave no text"


def evaluation_metrics(rows: list[dict[str, Any]]) -> dict[str, float]:
    """HELD_OUT_FIGURES of an evaluation, over the rows of `judged`."""
    return {
        "accuracy": fmean(row["correct"] for row in rows),
        "hard_reward": fmean(row["hard_reward"] for row in rows),
        "format_rate": fmean(row["well_formed"] for row in rows),
        "mean_response_tokens": fmean(row["response_tokens"] for row in rows),
        "truncation_rate": fmean(row["truncated"] for row in rows),
    }
