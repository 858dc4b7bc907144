"""What a case of a cure is, and how the parts of the package are put to one: a config, rows, a function."""

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from vr1_ray.config import (
    BridgeSourceConfig,
    DataConfig,
    RewardSpec,
    RunConfig,
    StageConfig,
    check_config,
    load_config,
)
from vr1_ray.config.schema import RewardPoolConfig
from vr1_ray.data import load_demonstrations, load_prompts
from vr1_ray.data.questions import load_questions

CONFIGS = {
    "rl": {
        "kind": "rl",
        "name": "x",
        "model": {"path": "m"},
        "data": {"train": "t.jsonl"},
        "curriculum": {"stages": [{"max_response_tokens": 64, "group_size": 4, "steps": 2}]},
    },
    "sft": {
        "kind": "sft",
        "name": "x",
        "model": {"path": "m"},
        "data": {"demonstrations": ["d.json"]},
    },
    "eval": {
        "kind": "eval",
        "name": "x",
        "model": {"path": "m"},
        "eval": {"data": "t.jsonl", "max_response_tokens": 64},
    },
    "filter": {
        "kind": "filter",
        "name": "x",
        "model": {"path": "m"},
        "data": {"train": "t.jsonl"},
        "filter": {"max_response_tokens": 64},
    },
    "bridge": {
        "kind": "bridge",
        "name": "x",
        "bridge": {"sources": [{"reader": "jsonl", "path": "a.jsonl"}]},
    },
}

RECORDS = {
    "curriculum.stages": StageConfig,
    "rewards": RewardSpec,
    "bridge.sources": BridgeSourceConfig,
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A mistake, and each of the cures that its message names: all are run in folders of their own.

    Example:
        Case(name="seed", says="seed", wrong=lambda folder: load("x"), cures=[lambda folder: load("1")])
    """

    name: str
    says: str  # what the message must hold
    wrong: Callable[[Path], Any]  # raises, or returns the warning's text
    cures: Sequence[Callable[[Path], Any]]


def config(kind: str, says: str, wrong: Sequence[str], *cures: Sequence[str]) -> Case:
    """A config of a kind with overrides that are wrong; each cure is overrides on top of these."""

    def run(overrides: Sequence[str]) -> Callable[[Path], Any]:
        def read(folder: Path) -> None:
            config = deepcopy(_loaded(kind))
            for override in overrides:
                key, _, value = override.partition("=")
                _put(config, key, yaml.safe_load(value) if value else "")
            check_config(config)

        return read

    return Case(
        name=f"{kind}: {' '.join(wrong)}",
        says=says,
        wrong=run(wrong),
        cures=[run([*wrong, *cure]) for cure in cures],
    )


@cache
def _loaded(kind: str) -> RunConfig:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.yaml"
        path.write_text(json.dumps(CONFIGS[kind]))
        return load_config(path)


def _put(config: Any, key: str, value: Any) -> None:
    """What the override does, without the loader: a hundred of them would take it seconds."""
    *path, name = key.split(".")
    for part in path:
        config = config[part] if isinstance(config, dict) else getattr(config, part)
    if key in RECORDS and isinstance(value, list):
        value = [RECORDS[key](**item) for item in value]
    if isinstance(config, dict):
        config[name] = RewardPoolConfig(**value)
    else:
        setattr(config, name, value)


def rows(
    says: str,
    wrong: Any,
    *cures: Any,
    read: str = "prompts",
    settings: dict[str, Any] | None = None,
) -> Case:
    """Rows of a file (or its bytes), read as prompts, demonstrations or questions.

    A cure is other rows, or settings of `data` that are put to the same rows, or both as (rows, settings).
    """

    def run(content: Any, own: dict[str, Any]) -> Callable[[Path], Any]:
        return lambda folder: read_rows(folder, content, read, (settings or {}) | own)

    def of(cure: Any) -> Callable[[Path], Any]:
        if isinstance(cure, dict):
            return run(wrong, cure)
        return run(*cure) if isinstance(cure, tuple) else run(cure, {})

    return Case(
        name=f"{read}: {str(wrong)[:60]}",
        says=says,
        wrong=run(wrong, {}),
        cures=[of(cure) for cure in cures],
    )


def read_rows(folder: Path, content: Any, read: str, settings: dict[str, Any]) -> None:
    """Write a file beside pictures and read it; FOLDER in a text is where these are."""
    from tests.unit.data.inputs import pictures

    root = folder / "data"
    if not root.is_dir():
        pictures(folder)
    name = settings.get("file", "rows.jsonl")
    path = root / name
    if isinstance(content, list):
        content = "\n".join(json.dumps(row) for row in content)
    if isinstance(content, str):
        content = content.replace("FOLDER", str(folder)).encode()
    path.write_bytes(content)
    own = {
        key: value.replace("FOLDER", str(folder)) if isinstance(value, str) else value
        for key, value in settings.items()
        if key not in ("file", "max_images")
    }
    source = str(path)
    if read == "demonstrations":
        load_demonstrations(DataConfig(**own, demonstrations=[source]))
    elif read == "questions":
        load_questions(source, "", DataConfig(**own))
    else:
        load_prompts(DataConfig(**own), source, "train", max_images=settings.get("max_images"))


def call(name: str, says: str, wrong: Callable[[Path], Any], *cures: Callable[[Path], Any]) -> Case:
    """Anything else: functions of a folder."""
    return Case(name=name, says=says, wrong=wrong, cures=cures)
