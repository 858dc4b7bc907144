"""`vr1 config [PREFIX]`: every key with type, default, range, the kinds of run it counts in, and what it means.

All of it is read off the schema: types, ranges and comments beside the fields, so that nothing is written twice.
`vr1 config --diff CONFIG` says instead what a config sets to other values than the defaults.
"""

import json
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from vr1_ray.config import RunConfig, load_config, recipe_runs
from vr1_ray.config.differences import NO_DEFAULT, key_values
from vr1_ray.config.effects import kinds_of
from vr1_ray.config.fields import REQUIRED, Setting, by_key
from vr1_ray.config.shape import near_miss, pattern

_NOTHING = "{}: as by default"
COLUMNS = ("key", "type", "default", "range", "in runs of kind", "meaning")


def reference_text(prefix: str = "", *, is_markdown: bool = False) -> str:
    """The keys below a prefix, in the schema's order: two lines a key, or a Markdown table.

    Raises ValueError for a prefix that no key begins with.

    Example:
        reference_text("trainer.optimizer.lr")
        # trainer.optimizer.lr = 1e-06    float, above 0 and at most 1    (sft, rl)
        #     the peak, after warm-up
    """
    found = _chosen(prefix)
    if not is_markdown:
        return "\n".join(line for setting in found for line in _lines(setting))
    rows = [COLUMNS, tuple("---" for _ in COLUMNS), *(_cells(setting) for setting in found)]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows
    )


def diff_text(path: str, prefix: str = "") -> str:
    """What a config sets to other values than the defaults, a line a key; of a recipe step by step.

    Raises ConfigError for a config that can't be read, ValueError for a prefix that no key begins with.
    """
    _chosen(prefix)
    config = load_config(path)
    runs = recipe_runs(config) if config.kind == "recipe" else [config]
    blocks = []
    for run in runs:
        title = [f"# {run.name} ({run.kind})"] if config.kind == "recipe" else []
        found = list(_differences(run, prefix)) or [_NOTHING.format(prefix or "all")]
        blocks.append("\n".join([*title, *found]))
    return "\n\n".join(blocks)


def default_text(setting: Setting) -> str:
    """The default as a YAML would have it."""
    if setting.default == REQUIRED:
        return "must be given"
    return json.dumps(_plain(setting.default))


def _chosen(prefix: str) -> list[Setting]:
    found = [setting for key, setting in by_key(RunConfig).items() if _is_in(pattern(key), prefix)]
    if not found:
        raise ValueError(f"{prefix}: no setting begins so; {near_miss(prefix)}")
    return found


def _is_in(key: str, prefix: str) -> bool:
    start = pattern(prefix)
    return not start or key == start or key.startswith((f"{start}.", f"{start}["))


def _lines(setting: Setting) -> Iterator[str]:
    _, kind, default, limits, kinds, meaning = _cells(setting)
    of = f"{kind}, {limits}" if limits else kind
    value = f": {default}" if setting.default == REQUIRED else f" = {default}"
    yield f"{setting.key}{value}    {of}    ({kinds})"
    yield f"    {meaning}"


def _cells(setting: Setting) -> tuple[str, ...]:
    limits = setting.range
    return (
        setting.key,
        setting.type_text,
        default_text(setting),
        limits.text if limits else "",
        ", ".join(kinds_of(setting.key)),
        setting.meaning,
    )


def _plain(value: Any) -> Any:
    """A default with its sections as mappings of what they set themselves."""
    if is_dataclass(value):
        own = {one.name: getattr(value, one.name) for one in fields(value) if _is_own(value, one)}
        return {name: _plain(one) for name, one in own.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value


def _is_own(section: Any, field: Any) -> bool:
    default = field.default if field.default_factory is MISSING else field.default_factory()
    return getattr(section, field.name) != default


def _differences(run: RunConfig, prefix: str) -> Iterator[str]:
    for one in key_values(run):
        is_asked = (
            not prefix or one.key == prefix or one.key.startswith((f"{prefix}.", f"{prefix}["))
        )
        if is_asked and one.is_changed:
            has_none = one.default is NO_DEFAULT
            default = "" if has_none else f"    (default: {json.dumps(one.default)})"
            yield f"{one.key}: {json.dumps(one.value)}{default}"
