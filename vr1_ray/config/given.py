"""What was set for this very run, by its file or on the command line, and whether that does anything.

Each source is judged by what it says together with what lies below it: a command line that turns evaluation off makes
no fault of the file's eval.label.
"""

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from vr1_ray.config.effects import kinds_of, without_effect
from vr1_ray.config.schema import RunConfig

Fault = tuple[str, str]  # key, what is wrong with it


def is_resolved(raw: dict[str, Any]) -> bool:
    """Whether a file spells out the sections and `steps`, as the config.yaml of a run folder does: no choice of a hand.

    That of an earlier version lacks what has been added since, so most of the sections are enough.
    """
    whole = RunConfig()
    sections = {one.name for one in fields(whole) if is_dataclass(getattr(whole, one.name))}
    return "steps" in raw and len(raw.keys() & sections) >= 0.75 * len(sections)


def keys_in(tree: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The keys that a tree sets, without its sections; a list or an empty mapping is one key."""
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from keys_in(value, f"{prefix}{name}.")
        elif value != {}:
            yield f"{prefix}{name}"


def flat(tree: Any, key: str = "") -> dict[str, Any]:
    """A tree of YAML values as key -> value, places of lists and all.

    Example:
        flat({"curriculum": {"stages": [{"steps": 2}]}})    # {"curriculum.stages[0].steps": 2}
    """
    if isinstance(tree, dict) and tree:
        parts = {f"{key}.{name}" if key else str(name): one for name, one in tree.items()}
    elif isinstance(tree, list) and tree:
        parts = {f"{key}[{place}]": one for place, one in enumerate(tree)}
    else:
        return {key: tree}
    return {inner: one for name, part in parts.items() for inner, one in flat(part, name).items()}


def idle_in_file(raw: dict[str, Any], config: RunConfig, runs: list[RunConfig]) -> Iterator[Fault]:
    """What a file sets to no effect; of a recipe what its steps set for themselves."""
    if config.kind != "recipe":
        yield from without_effect(keys_in(raw), config)
        return
    steps = dict(zip(config.steps, runs, strict=True))
    for name, settings in raw.get("steps", {}).items():
        for key, reason in without_effect(keys_in(settings), steps[name]):
            yield f"steps.{name}.{key}", reason


def idle_overrides(
    keys: Iterable[str], config: RunConfig, runs: list[RunConfig]
) -> Iterator[Fault]:
    """What the command line sets to no effect; for a recipe as a whole it must have one in some step."""
    if config.kind != "recipe":
        yield from without_effect(keys, config)
        return
    steps = dict(zip(config.steps, runs, strict=True))
    for key in keys:
        if key.startswith("steps."):
            _, name, own = key.split(".", 2)
            for _, reason in without_effect([own], steps[name]):
                yield key, reason
        elif "recipe" not in kinds_of(key):
            yield from _idle_everywhere(key, config, steps)


def _idle_everywhere(key: str, config: RunConfig, steps: dict[str, RunConfig]) -> Iterator[Fault]:
    takes = [name for name, run in steps.items() if not list(without_effect([key], run))]
    sets_own = [name for name in takes if _is_set(config.steps[name], key)]
    if not takes:
        kinds = ", ".join(dict.fromkeys(run.kind for run in steps.values()))
        yield key, f"has no effect in any step of the recipe ({kinds}); leave it out"
    elif takes == sets_own:
        cures = " ".join(f"steps.{name}.{key}=..." for name in takes)
        yield key, f"has no effect: every step that takes it sets its own; write {cures}"


def _is_set(settings: Any, key: str) -> bool:
    """Whether a step's own settings decide the key."""
    for part in key.partition("[")[0].split("."):
        if not isinstance(settings, dict):
            return True
        if part not in settings:
            return False
        settings = settings[part]
    return True
