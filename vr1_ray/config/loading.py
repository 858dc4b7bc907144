"""Reading a run's config: one YAML, then `key=value` overrides, checked against the schema.

Order: the schema's defaults < the YAML < the overrides. Unknown keys, wrong types and keys that do nothing in this run
are refused by name, with the source at fault: the command line, or the file with its line. `${key}` interpolation is
OmegaConf's and sees the whole file, so a recipe's steps can name each other's folders.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field, is_dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from vr1_ray.config import overrides as setting
from vr1_ray.config.errors import ConfigError
from vr1_ray.config.fields import hints_of
from vr1_ray.config.given import idle_in_file, idle_overrides, is_resolved
from vr1_ray.config.interpolation import (
    FILLING_ERRORS,
    broken_interpolations,
    why_not_filled_in,
)
from vr1_ray.config.overrides import Override, read_overrides
from vr1_ray.config.paths import is_path, written_out
from vr1_ray.config.schema import RunConfig
from vr1_ray.config.shape import Fault, faults
from vr1_ray.config.shipped import config_file, shipped
from vr1_ray.config.yaml_file import read_yaml

NOT_A_DEFAULT = ("kind", "name", "steps")  # keys of a recipe that its steps do not inherit
COMMAND_LINE = "command line"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A YAML as it was read, and what the command line sets on top of it."""

    where: str
    raw: dict[str, Any]
    lines: dict[str, int] = field(default_factory=dict)  # key -> line
    overrides: list[Override] = field(default_factory=list)

    def tree(self) -> dict[str, Any]:
        """The file's values with the overrides set. Raises ConfigError for one that has no place."""
        tree = deepcopy(self.raw)
        for override in self.overrides:
            _spell_out(tree)
            setting.put(tree, override, _below(tree))
        _spell_out(tree)
        return tree

    def told(self, found: Iterable[Fault]) -> ConfigError | None:
        """One line a fault: who is at fault, the key, what is wrong."""
        lines = [self.line(key, wrong) for key, wrong in found]
        return ConfigError("\n".join(dict.fromkeys(lines))) if lines else None

    def line(self, key: str, wrong: str) -> str:
        """What is wrong with a key, and whose fault it is."""
        for override in reversed(self.overrides):
            if override.key == key:
                return f"{COMMAND_LINE}: {override.text}: {wrong}"
            if _is_below(key, override.key) or _is_below(override.key, key):
                return f"{COMMAND_LINE}: {override.text}: {key}: {wrong}"
            parent = key.rpartition(".")[0]
            if parent not in self.lines and _is_below(override.key, parent):  # it made the section
                return f"{COMMAND_LINE}: {override.text}: {key}: {wrong}"
        known = [one for one in self.lines if one == key or _is_below(key, one)]
        line = f", line {self.lines[max(known, key=len)]}" if known else ""
        return f"{self.where}{line}: {key}: {wrong}"


def load_config(path: str | Path, overrides: list[str] | None = None) -> RunConfig:
    """Read `path`, apply `key=value` overrides, and return the typed config.

    Raises ConfigError for an unreadable file, an unknown key, a wrong type, a missing value, or a key that is set for this
    very run and does nothing in it.
    """
    source = _read_yaml(Path(path), overrides or [])
    whole = _whole(source)
    keys = [key for one in source.overrides for key in one.keys]
    idle = None if is_resolved(source.raw) else _idle_in_file(source, whole)
    error = idle or source.told(idle_overrides(keys, *whole))
    if error is not None:
        raise error
    return whole[0]


def typed_overrides(overrides: list[str]) -> RunConfig:
    """A config of defaults with `key=value` overrides alone: for commands that have no YAML of their own."""
    read = read_overrides(overrides)
    return _typed(Source(where=COMMAND_LINE, raw={"kind": "eval"}, overrides=read))


def recipe_runs(recipe: RunConfig) -> list[RunConfig]:
    """The runs of a recipe, in order, each named RECIPE/STEP and with the recipe's keys as defaults.

    Raises ConfigError naming the step whose settings are wrong, or a recipe without steps.
    """
    if not recipe.steps:
        raise ConfigError(
            "steps: a recipe needs at least one step; add `steps: {NAME: {kind: ...}}`"
        )
    shared = OmegaConf.to_container(OmegaConf.structured(recipe))
    defaults = OmegaConf.create(
        {key: value for key, value in cast(dict, shared).items() if key not in NOT_A_DEFAULT}
    )
    runs = []
    for step_name, settings in recipe.steps.items():
        if not isinstance(settings, dict) or settings.get("kind", "recipe") == "recipe":
            raise ConfigError(
                f"steps.{step_name}.kind: a step needs a kind other than recipe: figure_math, bridge, sft, rl, eval "
                "or filter"
            )
        own = {"name": f"{recipe.name}/{step_name}", **settings}
        blame = partial("steps.{}: {}: {}".format, step_name)
        runs.append(_merged(blame, defaults, OmegaConf.create(own)))
    return runs


def save_config(config: RunConfig, path: Path) -> None:
    """Write the resolved config, every default spelled out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(config_text(config), encoding="utf-8")


def config_text(config: RunConfig) -> str:
    """The resolved config as YAML."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def _whole(source: Source) -> tuple[RunConfig, list[RunConfig]]:
    """The config, and the runs of a recipe: a mistake in the last step shows before the first one runs."""
    config = _typed(source)
    return config, recipe_runs(config) if config.kind == "recipe" else []


def _idle_in_file(source: Source, whole: tuple[RunConfig, list[RunConfig]]) -> ConfigError | None:
    alone = replace(source, overrides=[])
    found = list(idle_in_file(alone.tree(), *whole))
    # The command line may have made it idle, which is no fault of the file.
    if found and source.overrides:
        with suppress(ConfigError):  # whole with the command line only, so judged with it
            found = list(idle_in_file(alone.tree(), *_whole(alone)))
    return alone.told(found)


def _typed(source: Source) -> RunConfig:
    """Check a tree against the schema. Raises ConfigError that names the fields."""
    tree = source.tree()
    error = source.told((*faults(tree), *broken_interpolations(tree)))
    if error is not None:
        raise error
    return _merged(source.line, OmegaConf.create(tree))


def _merged(blame: Callable[[str, str], str], *trees: Any) -> RunConfig:
    """The schema's defaults with trees of the right shape on top. Raises ConfigError for what is left: interpolations."""
    try:
        merged = cast(DictConfig, OmegaConf.merge(_schema(), *trees))
        return cast(RunConfig, _found(OmegaConf.to_object(merged)))
    except FILLING_ERRORS as error:
        key = getattr(error, "full_key", None) or "?"
        raise ConfigError(blame(key, why_not_filled_in(error))) from error


def _found(value: Any, hint: Any = None) -> Any:
    """The value with its paths written out, and every shipped file, such as the tiny model, where it is on this machine."""
    if isinstance(value, str):
        return shipped(written_out(value) if is_path(hint) else value)
    if isinstance(value, dict):
        return {key: _found(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_found(item, hint) for item in value]
    if is_dataclass(value):
        section: type = type(value)
        for name, kind in hints_of(section).items():
            setattr(value, name, _found(getattr(value, name), kind))
    return value


@lru_cache(maxsize=1)
def _schema() -> Any:
    """The schema as OmegaConf's tree, which takes long to build; a merge leaves it as it is."""
    return OmegaConf.structured(RunConfig)


@lru_cache(maxsize=1)
def _defaults() -> Any:
    return OmegaConf.to_container(_schema())


def _below(tree: dict[str, Any]) -> Callable[[setting.Path], Any]:
    """What is at a path that the tree doesn't have: what a recipe hands down to the step, else the schema's default."""

    def find(path: setting.Path) -> Any:
        own = path[2:] if path[0] == "steps" else path
        for place in (tree, _defaults()):
            here: Any = place
            for part in own:
                here = here.get(part) if isinstance(here, dict) else None
            if here is not None:
                return here
        return None

    return find


def _spell_out(tree: dict[str, Any]) -> None:
    """`rewards: [hard_format]` is short for `[{name: hard_format}]`."""
    steps = tree.get("steps")
    inner = list(steps.values()) if isinstance(steps, dict) else []
    for one in (tree, *(step for step in inner if isinstance(step, dict))):
        rewards = one.get("rewards")
        if isinstance(rewards, list):
            one["rewards"] = [{"name": x} if isinstance(x, str) else x for x in rewards]


def _is_below(key: str, other: str) -> bool:
    return key.startswith((f"{other}.", f"{other}["))


def _read_yaml(path: Path, overrides: list[str]) -> Source:
    path = config_file(str(path))
    read = read_overrides(overrides)
    raw, lines = read_yaml(path)
    return Source(where=str(path), raw=raw, lines=lines, overrides=read)
