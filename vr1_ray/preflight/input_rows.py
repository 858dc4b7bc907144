"""Rows about what a run reads: settings, model, chat template, data, rewards. Each mistake is a row, none an exception.

The run itself reads the same inputs with `inputs.py`, where the first mistake ends it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from vr1_ray.algorithms import make_algorithm
from vr1_ray.config import RunConfig, check_config
from vr1_ray.curriculum import make_curriculum
from vr1_ray.data import load_demonstrations
from vr1_ray.models import ModelAdapter, load_adapter
from vr1_ray.preflight.cold_start import cap_of, examine, length_row, taught_rows
from vr1_ray.preflight.inputs import (
    check_cold_started,
    fit_demonstrations,
    read_eval_prompts,
    read_prompts,
)
from vr1_ray.preflight.rehearsal import format_row, reward_row, weights_row
from vr1_ray.preflight.table import CheckRow, not_checked
from vr1_ray.rewards import make_rewards
from vr1_ray.types import Prompt
from vr1_ray.wording import counted

SAMPLE = 64  # prompts whose tokens are shown


@dataclass(kw_only=True)
class Inputs:
    """What was found, for the rows that need it."""

    rows: list[CheckRow] = field(default_factory=list)
    ahead: RunConfig | None = None  # the RL run that a cold start is made for
    prompt_tokens: float | None = None  # mean of a sample: of prompts, or of whole demonstrations
    num_demonstrations: int | None = None
    prompts: list[Prompt] = field(default_factory=list)  # for `vr1 check --probe`

    def attempt(self, name: str, read: Callable[[], Any]) -> Any:
        """What `read` gives; if it raises ValueError, a row with the message, and None."""
        try:
            return read()
        except ValueError as error:
            first, *rest = str(error).strip().split("\n")
            self.rows.append(
                CheckRow(
                    name=name, value="refused", status="bad", cure="\n    ".join([first, *rest])
                )
            )
            return None


def check_settings(config: RunConfig) -> list[CheckRow]:
    """A row for each rule that is broken, or one that says none is."""
    try:
        check_config(config)
    except ValueError as error:
        return [
            CheckRow(name="settings", value=line.split(":")[0], status="bad", cure=line)
            for line in str(error).split("\n")
        ]
    return [CheckRow(name="settings", value="sound")]


def check_run_inputs(
    config: RunConfig, found: Inputs, *, absent: Callable[[str], str | None]
) -> list[CheckRow]:
    """Rows of all inputs of one run; what later rows need of them goes to `found`.

    `absent` says of a model or data path why it can't be read here yet, or None. What is absent for a reason is a
    row that gives it; other rows that need it are left out.
    """
    if config.kind in ("figure_math", "bridge"):
        return []
    found.attempt("algorithm", lambda: make_algorithm(config.algorithm, kind=config.kind))
    if config.kind == "rl":
        found.attempt("curriculum", lambda: make_curriculum(config.curriculum))
    adapter = _model(config, found, absent)
    prompts: list[Prompt] = []
    if adapter is not None:
        prompts = _data(config, found, adapter, absent)
    else:
        found.rows += [
            not_checked(name, _after("the model", absent(config.model.path)))
            for name in _needing_a_model(config)
        ]
    if config.kind == "rl":
        rewards = found.attempt("rewards", lambda: make_rewards(config.rewards))
        if rewards and prompts and adapter is not None:
            found.rows.append(reward_row(config, prompts, adapter))
        else:
            why = absent(config.model.path) or absent(config.data.train)
            found.rows.append(
                not_checked("rewards, rehearsed", _after("rewards, model and data", why))
            )
    if config.kind == "eval" and config.benchmarks:
        found.rows.append(
            not_checked("benchmarks", "`vr1 eval` reads them all before an engine is started")
        )
    if config.benchmarks and config.eval.judge.model:
        by = "it is asked nothing here; the first evaluation does, and keeps the responses if it is down"
        found.rows.append(not_checked("eval.judge", by))
    return found.rows


def _needing_a_model(config: RunConfig) -> list[str]:
    """Names of the rows that can't be made without tokenizer and processor."""
    data = {"sft": ["data.demonstrations"], "rl": ["data.train"]}.get(config.kind, [])
    held_out = ["eval.data"] if config.eval.data else []
    return ["chat template and response format", *data, *held_out]


def _after(what: str, why: str | None) -> str:
    """What makes a check that had to be left out."""
    if why is None:
        return f"needs {what}; mend what is refused, and check again"
    if why == MADE_EARLIER:
        return "needs what an earlier step makes; the run checks it before the step starts anything, `vr1 check` once it is there"
    return f"needs {what}; `vr1 check` on a machine that has them"


def _model(
    config: RunConfig, found: Inputs, absent: Callable[[str], str | None]
) -> ModelAdapter | None:
    why = absent(config.model.path)
    if why is not None:
        found.rows.append(_elsewhere("model: reachable", config.model.path, why))
        return None
    if config.kind == "rl":
        found.attempt("model: cold-started", lambda: check_cold_started(config))
    adapter = found.attempt("model: reachable", lambda: load_adapter(config.model))
    if adapter is not None:
        found.rows.append(weights_row(config))
        found.rows.append(format_row(adapter))
    return adapter


def _elsewhere(name: str, path: str, why: str) -> CheckRow:
    is_made = why == MADE_EARLIER
    return CheckRow(
        name=name,
        value=f"{path}: {why}" if is_made else path,
        status="warning",
        cure=_after(name, why) if is_made else why,
    )


MADE_EARLIER = "made by an earlier step"


def _data(
    config: RunConfig,
    found: Inputs,
    adapter: ModelAdapter,
    absent: Callable[[str], str | None],
) -> list[Prompt]:
    prompts: list[Prompt] = []
    sources = {
        "sft": ("data.demonstrations", config.data.demonstrations),
        "rl": ("data.train", [config.data.train]),
        "filter": ("data.train", [config.data.train]),
    }
    name, paths = sources.get(config.kind, ("", []))
    reasons = [(path, absent(path)) for path in paths]
    found.rows += [_elsewhere(name, path, why) for path, why in reasons if why is not None]
    if name and all(why is None for _, why in reasons):
        if config.kind == "sft":
            _demonstrations(config, found, adapter)
        else:
            prompts = _prompts(config, found, adapter)
    if config.eval.data:
        why = absent(config.eval.data)
        if why is not None:
            found.rows.append(_elsewhere("eval.data", config.eval.data, why))
        else:
            held_out = found.attempt("eval.data", lambda: read_eval_prompts(config, adapter))
            if held_out is not None:
                found.rows.append(
                    CheckRow(name="eval.data", value=counted(len(held_out), "prompt"))
                )
                found.prompts = held_out
    found.prompts = prompts or found.prompts
    return prompts


def _prompts(config: RunConfig, found: Inputs, adapter: ModelAdapter) -> list[Prompt]:
    read = found.attempt("data.train", lambda: read_prompts(config, adapter))
    if read is None:
        return []
    prompts, skipped = read
    note = f", {skipped:,} skipped as too long" if skipped else ""
    is_many = skipped > len(prompts)
    found.rows.append(
        CheckRow(
            name="data.train",
            value=f"{counted(len(prompts), 'prompt')}{note}",
            status="warning" if is_many else "ok",
            cure="most rows are skipped; raise data.max_prompt_tokens or lower model.max_pixels"
            if is_many
            else "",
        )
    )
    found.rows += list(_token_rows(config, found, adapter, prompts[:SAMPLE]))
    return prompts


def _token_rows(
    config: RunConfig, found: Inputs, adapter: ModelAdapter, sample: list[Prompt]
) -> Iterator[CheckRow]:
    rendered = [adapter.render(prompt) for prompt in sample]
    lengths = [len(one.prompt_ids) for one in rendered]
    pictures = [len(one.prompt_ids) - len(one.engine_ids) for one in rendered]
    found.prompt_tokens = fmean(lengths)
    yield CheckRow(
        name=f"prompt tokens, {counted(len(sample), 'prompt')}",
        value=f"{min(lengths)} to {max(lengths)}, mean {fmean(lengths):.0f}",
        limit=f"{config.data.max_prompt_tokens:,}",
    )
    with_images = [
        extra + len(prompt.images)
        for extra, prompt in zip(pictures, sample, strict=True)
        if prompt.images
    ]
    if with_images:
        yield CheckRow(
            name="image tokens a prompt",
            value=f"{min(with_images)} to {max(with_images)}, mean {fmean(with_images):.0f}",
            limit=f"{config.data.max_prompt_tokens:,}",
        )


def _demonstrations(config: RunConfig, found: Inputs, adapter: ModelAdapter) -> None:
    name = "data.demonstrations"
    loaded = found.attempt(name, lambda: load_demonstrations(config.data_here))
    if loaded is None:
        return
    taught = examine(loaded, config, found.ahead)
    found.rows += taught_rows(taught, config.data.max_unrewarded_share)
    fitting = found.attempt(name, lambda: fit_demonstrations(config, adapter, loaded))
    if fitting is None:
        return
    kept, lengths = fitting
    totals, dropped = [sum(one) for one in lengths], len(loaded) - len(kept)
    found.num_demonstrations, found.prompt_tokens = len(kept), fmean(totals)
    note = f", {dropped:,} dropped as too long" if dropped else ""
    curriculum = (found.ahead or config).curriculum
    found.rows += [
        CheckRow(name=name, value=f"{len(kept):,}{note}"),
        CheckRow(
            name=f"tokens, {counted(len(loaded), 'demonstration')}",
            value=f"{min(totals)} to {max(totals)}, mean {fmean(totals):.0f}",
            limit=f"{min(config.data.cutoff_len, config.model.max_model_len):,}",
        ),
        length_row(lengths, cap_of(config, found.ahead), curriculum.alarm_truncation_rate),
    ]


def is_here(path: str) -> bool:
    """Whether a model or data path is a local file or folder."""
    return bool(path) and Path(path).exists()
