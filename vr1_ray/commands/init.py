"""`vr1 init NAME --data PATH`: a commented config for one's own data, written after looking at it. Nothing is started.

What the rows are decides what the config does: with responses in them it is a cold start and RL after it, without it
is RL of a policy that was cold-started before. Token limits are those of the rows, where the model is at hand.
"""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vr1_ray.commands.init_parts import BOTH, HEAD, MACHINES, RL, SFT, SHARED
from vr1_ray.config import ConfigError, DataConfig, check_config, load_config
from vr1_ray.config.loading import typed_overrides
from vr1_ray.config.model_path import check_model_path
from vr1_ray.config.overrides import read_overrides
from vr1_ray.config.shipped import shipped
from vr1_ray.data.looking import Looked, look_at
from vr1_ray.runs.quiet import quiet, to_user
from vr1_ray.wording import counted

TINY = "examples/vr1_tiny/model"
QUICKSTART = "runs/quickstart/cold_start/policy"  # what `make quickstart` leaves
# Settings of `data` that may be given, where what is found by looking is not what is meant.
GIVEN = ("prompt_column", "answer_column", "images_column", "image_root", "max_image_pixels")
MEASURED = 64  # rows whose tokens are counted
FILL_IN = "data/train.jsonl"  # named where there is no data yet


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Tokens of the longest prompt and response among `num_rows` rows; 0 rows: a guess.

    Example:
        Lengths(prompt=38, response=93, num_rows=64)
    """

    prompt: int
    response: int
    num_rows: int = 0


def init(
    name: str,
    *,
    data: str = "",
    split: str = "",
    model: str = "",
    overrides: Sequence[str] = (),
) -> str:
    """Write NAME.yaml into the current folder; returns what to say to the user.

    `overrides` are `data.KEY=value` for what is not to be looked for. Raises ConfigError for a name that can't be, a
    file that is there or a model that is none, DataError for data that can't be used.
    """
    name = name.removesuffix(".yaml").removesuffix(".yml")
    path = Path(f"{name}.yaml")
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", name):
        raise ConfigError(f"{name!r} can't be a run's name; use letters, digits, '.', '_', '-'")
    if path.exists():
        raise ConfigError(f"{path} is there already; take another name, or remove it first")
    given = _given(overrides)
    if not data and (split or given):
        raise ConfigError(f"{'--split' if split else overrides[0]}: is of --data; give that too")
    if model and model not in (TINY, QUICKSTART):
        check_model_path(model, "--model")
    if data and not Path(data).exists():
        print(f"looking for {data} on the hub", file=to_user(), flush=True)
    with quiet("init"):
        looked = look_at(data, split or "train", given) if data else None
    model = model or (QUICKSTART if looked is None or not looked.demonstrations else TINY)
    if model == QUICKSTART and not Path(model).is_dir():
        model = TINY
    with quiet("init"):
        lengths = (looked and _measure(looked, model)) or _guess(model)
    text = config_text(name, looked, model, lengths)
    path.write_text(text, encoding="utf-8")
    try:
        check_config(load_config(path))
    except ConfigError:
        path.unlink()
        raise
    said = [*_said(looked), *_said_of_model(model)]
    return "\n".join([f"{path}: {_what(looked)}", *said, *_next(path, looked)])


def _given(overrides: Sequence[str]) -> dict[str, Any]:
    """The settings of `data` that are given, by name. Raises ConfigError for others."""
    keys = [key for override in read_overrides(overrides) for key in override.keys]
    for key in keys:
        if key.removeprefix("data.") not in GIVEN or not key.startswith("data."):
            known = ", ".join(f"data.{name}" for name in GIVEN)
            raise ConfigError(
                f"{key}: is not taken here, only {known}; write it into the config that is made"
            )
    config = typed_overrides(list(overrides)).data
    return {name: getattr(config, name) for name in GIVEN if f"data.{name}" in keys}


def _said_of_model(model: str) -> list[str]:
    if Path(shipped(model)).is_dir():
        return []
    return [f"model: {model} is no folder here, so it is taken for a hub name; nothing is measured"]


def config_text(name: str, looked: Looked | None, model: str, lengths: Lengths) -> str:
    """The config as YAML with comments."""
    num_rows = looked.num_rows if looked else 16
    is_tiny = model in (TINY, QUICKSTART)
    max_prompt, last_cap = _rounded(lengths.prompt), _rounded(lengths.response)
    source = _scalar(looked.source if looked else FILL_IN)
    values = {
        "name": name,
        "what": _what(looked),
        "kind": "recipe" if _has_both(looked) else "sft" if _has_responses(looked) else "rl",
        "source": source,
        "data": _source_line(looked, source),
        "model": _scalar(model),
        "model_note": _model_note(model),
        "max_prompt_tokens": max_prompt,
        "max_model_len": max_prompt + last_cap,
        "measured": f"the longest of {counted(lengths.num_rows, 'row')} has {lengths.prompt}"
        if lengths.num_rows
        else "not measured: `vr1 check` says what your rows have",
        "rows": _rows_line(looked),
        "columns": _columns(looked.config if looked else DataConfig()),
        "prompts": next(size for size in (16, 8, 4, 2, 1) if size <= num_rows),
        "lr": "1.0e-4" if is_tiny else "1.0e-6",
        "sft_lr": "6.0e-4" if is_tiny else "1.0e-5",
        "first_cap": max(16, last_cap // 2),
        "last_cap": last_cap,
    }
    head = HEAD.format(**values | {"source": looked.source if looked else "nothing yet"})
    sft, rl = SFT.format(**values), RL.format(**values)
    if _has_both(looked):
        inner = {part: textwrap.indent(text, "    ") for part, text in (("sft", sft), ("rl", rl))}
        both = BOTH.format(**values, **inner)
        return "\n".join([head, SHARED.format(**values) + MACHINES, both])
    if _has_responses(looked):
        shared = SHARED.format(**values | {"lr": values["sft_lr"]})
        return "\n".join([head, shared, sft])
    if model != QUICKSTART:
        rl = "allow_base_policy: true # RL of a policy that had no cold start\n" + rl
    return "\n".join([head, SHARED.format(**values) + MACHINES, rl])


def _source_line(looked: Looked | None, source: str) -> str:
    if _has_both(looked):
        return ""
    line = f"  demonstrations: [{source}]\n" if _has_responses(looked) else f"  train: {source}\n"
    return (
        line
        if looked
        else line.rstrip() + " # your rows, or give another file, folder or hub name\n"
    )


def _has_responses(looked: Looked | None) -> bool:
    return looked is not None and bool(looked.demonstrations)


def _has_both(looked: Looked | None) -> bool:
    return looked is not None and bool(looked.demonstrations) and bool(looked.prompts)


def _what(looked: Looked | None) -> str:
    if _has_both(looked):
        return "a cold start on your demonstrations, then GRPO under PTST on their questions"
    if _has_responses(looked):
        return "a cold start on your demonstrations"
    return "GRPO under PTST on your questions"


def _said(looked: Looked | None) -> list[str]:
    """What was seen in the data, in lines."""
    if looked is None:
        return []
    named = "; ".join(line.strip() for line in _columns(looked.config).splitlines())
    lines = [_rows_line(looked), *([named] if named else []), *looked.notes]
    if looked.problems:
        lines.append(
            f"{len(looked.problems)} of the rows looked at can't be used, the first: {looked.problems[0]}"
        )
        lines.append(
            "a run refuses such a file; data.bad_rows=skip leaves the rows out and lists them"
        )
    return lines


def _next(path: Path, looked: Looked | None) -> list[str]:
    first = (
        [] if looked else [f"first write your rows to {FILL_IN}, or name another file in {path}"]
    )
    return [*first, f"next: vr1 check {path}", f"then: vr1 run {path}"]


def _rows_line(looked: Looked | None) -> str:
    if looked is None:
        return 'A row: {"question": "<image>How many?", "image": "a.png", "answer": 3}; other forms in examples/your_data'
    config, count = looked.config, counted(looked.num_rows, "row")
    count += "" if looked.is_all else " or more"
    most = looked.max_images
    pictures = (
        f"{'a picture' if most == 1 else f'at most {most} pictures'} a row"
        if most
        else "no pictures"
    )
    root = f", pictures below {config.image_root}" if config.image_root else ""
    return f"{looked.source}: {count}, {pictures}{root}"


def _columns(config: DataConfig) -> str:
    """The settings of `data` that are not the defaults."""
    default = DataConfig()
    names = ("split", *GIVEN)
    return "".join(
        f"  {name}: {_scalar(getattr(config, name))}\n"
        for name in names
        if getattr(config, name) != getattr(default, name)
    )


def _model_note(model: str) -> str:
    if model == QUICKSTART:
        return "the quickstart's cold-started policy, of 2 M parameters"
    if model == TINY:
        return "2 M parameters, to see all of it work; for real Qwen/Qwen2.5-VL-7B-Instruct or another Qwen2.5-VL"
    return "Qwen2-VL, Qwen2.5-VL or Qwen3-VL Instruct of any size"


def _measure(looked: Looked, model: str) -> Lengths | None:
    """Tokens of some rows by the model's own processor; None if its folder is not here."""
    config = typed_overrides([f"model.path={shipped(model)}"]).model
    if not Path(config.path).is_dir():
        return None
    from vr1_ray.models import load_adapter

    adapter = load_adapter(config)
    rows = (looked.demonstrations or looked.prompts)[:MEASURED]
    prompts = [len(adapter.render(row.prompt).prompt_ids) for row in rows]
    responses = [len(adapter.encode_response(row.response)) for row in rows if row.response]
    response = max(responses, default=_guess(model).response)
    return Lengths(prompt=max(prompts), response=response, num_rows=len(rows))


def _guess(model: str) -> Lengths:
    is_tiny = model in (TINY, QUICKSTART)
    return Lengths(prompt=96 if is_tiny else 1024, response=224 if is_tiny else 2048)


def _rounded(tokens: int) -> int:
    """Up to a multiple of 32, so that a somewhat longer row still fits."""
    return -(-tokens // 32) * 32


def _scalar(value: Any) -> str:
    """A value as YAML in one line."""
    return (
        yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
        .removesuffix("\n...\n")
        .strip()
    )
