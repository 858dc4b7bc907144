"""Reading a run's config: one YAML, then `key=value` overrides, checked against the schema.

Order: the schema's defaults < the YAML < the overrides. Unknown keys and wrong types are refused by
name. `${key}` interpolation is OmegaConf's and sees the whole file, so a recipe's steps can name each
other's folders.
"""

from dataclasses import fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vr1_ray.config.schema import RunConfig
from vr1_ray.config.shipped import shipped, shipped_configs

NOT_A_DEFAULT = ("kind", "name", "steps")  # keys of a recipe that its steps do not inherit


class ConfigError(ValueError):
    """A mistake in the config: the message names the field, the value and the cure."""


def load_config(path: str | Path, overrides: list[str] | None = None) -> RunConfig:
    """Read `path`, apply `key=value` overrides, and return the typed config.

    Raises ConfigError for an unreadable file, an unknown key, a wrong type or a missing value.
    """
    raw = _read_yaml(Path(path))
    config = _typed(_merged(raw, overrides or [], where=str(path)), where=str(path))
    if config.kind == "recipe":
        recipe_runs(config)  # a mistake in the last step shows before the first one runs
    return config


def typed_overrides(overrides: list[str]) -> RunConfig:
    """A config of defaults with `key=value` overrides alone: for commands that have no YAML of their own."""
    tree = _merged({"kind": "eval"}, overrides, where="command line")
    return _typed(tree, where="command line")


def _merged(raw: dict[str, Any], overrides: list[str], *, where: str) -> Any:
    for override in overrides:
        if "=" not in override:
            raise ConfigError(f"override {override!r} has no '=': write key=value, such as seed=1")
    try:
        return OmegaConf.merge(OmegaConf.create(raw), OmegaConf.from_dotlist(overrides))
    except (OmegaConfBaseException, ValueError) as error:
        raise ConfigError(f"{where}: {_first_line(error)}") from error


def recipe_runs(recipe: RunConfig) -> list[RunConfig]:
    """The runs of a recipe, in order, each named RECIPE/STEP and with the recipe's keys as defaults.

    Raises ConfigError naming the step whose settings are wrong, or a recipe without steps.
    """
    if not recipe.steps:
        raise ConfigError(
            "steps: a recipe needs at least one step; add `steps: {NAME: {kind: ...}}`"
        )
    shared = OmegaConf.to_container(OmegaConf.structured(recipe))
    defaults = {key: value for key, value in cast(dict, shared).items() if key not in NOT_A_DEFAULT}
    runs = []
    for step_name, settings in recipe.steps.items():
        if not isinstance(settings, dict) or settings.get("kind", "recipe") == "recipe":
            raise ConfigError(
                f"steps.{step_name}.kind: a step needs a kind other than recipe: figure_math, bridge, sft, rl or eval"
            )
        own = OmegaConf.create({"name": f"{recipe.name}/{step_name}", **settings})
        runs.append(
            _typed(OmegaConf.merge(OmegaConf.create(defaults), own), where=f"steps.{step_name}")
        )
    return runs


def save_config(config: RunConfig, path: Path) -> None:
    """Write the resolved config, every default spelled out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(config_text(config), encoding="utf-8")


def config_text(config: RunConfig) -> str:
    """The resolved config as YAML."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def _typed(tree: Any, *, where: str) -> RunConfig:
    """Check a tree against the schema. Raises ConfigError that names the field."""
    try:
        merged = cast(DictConfig, OmegaConf.merge(_schema(), tree))
        return cast(RunConfig, _found(OmegaConf.to_object(merged)))
    except (OmegaConfBaseException, ValueError) as error:
        key = getattr(error, "full_key", None)
        field = f"{key}: " if key else ""
        raise ConfigError(
            f"{where}: {field}{_first_line(error)}. See vr1_ray/config/schema.py"
        ) from error


def _found(value: Any) -> Any:
    """The value with every shipped file that it names, such as the tiny model, where it is on this machine."""
    if isinstance(value, str):
        return shipped(value)
    if isinstance(value, dict):
        return {key: _found(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_found(item) for item in value]
    if is_dataclass(value):
        for field in fields(value):
            setattr(value, field.name, _found(getattr(value, field.name)))
    return value


@lru_cache(maxsize=1)
def _schema() -> Any:
    """The schema as OmegaConf's tree, which takes long to build; a merge leaves it as it is."""
    return OmegaConf.structured(RunConfig)


def _read_yaml(path: Path) -> dict[str, Any]:
    path = Path(shipped(str(path)))
    if not path.is_file():
        known = ", ".join(shipped_configs())
        raise ConfigError(f"config {str(path)!r} does not exist; the shipped ones are {known}")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"config {str(path)!r} is not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(
            f"config {str(path)!r} must be a mapping of keys to values, not {type(raw).__name__}"
        )
    return raw


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")
