"""What a Python program hands to a run in the place of names: each object gets a name, and the config says it.

The objects go beside the config down to the loops (`config/objects.py`); what reads them reads names by the same code.
"""

import hashlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from functools import partial
from typing import Any

from vr1_ray.config import ConfigError, RewardSpec, RunConfig
from vr1_ray.config.objects import PREFIX, Objects
from vr1_ray.data.tables import check_is_dataset
from vr1_ray.rewards import Reward, make_rewards
from vr1_ray.wording import counted

# A name as in the YAML, a function, a Reward class or object, a RewardSpec; or (one of these, its weight).
AnyReward = str | Callable[..., Any] | Reward | RewardSpec | tuple[Any, float]


@dataclass(frozen=True, kw_only=True)
class Handed:
    """One argument of `vr1_ray.run`: where it stands in the config, what stands there, the objects named by that.

    Example:
        Handed(key="data.train", kinds=("rl",), value="object:prompts", objects={"object:prompts": rows})
    """

    key: str
    kinds: tuple[str, ...]  # of run, that read it
    value: Any
    objects: Objects


KINDS = {
    "rewards": ("rl",),
    "data.train": ("rl",),
    "data.demonstrations": ("sft",),
    "eval.data": ("rl", "eval"),
}
ARGUMENTS = {
    "data.train": "prompts",
    "data.demonstrations": "demonstrations",
    "eval.data": "eval_prompts",
}


def hand_over(rewards: Sequence[AnyReward] | None, data: dict[str, Any]) -> list[Handed]:
    """What was given, with names. Raises ValueError for an object that can't be used."""
    handed = []
    if rewards is not None:
        specs, objects = _reward_specs(rewards)
        _check_can_travel(specs, objects)
        make_rewards(specs, objects=objects)
        handed.append(Handed(key="rewards", kinds=KINDS["rewards"], value=specs, objects=objects))
    for key, dataset in data.items():
        if dataset is None:
            continue
        check_is_dataset(dataset, ARGUMENTS[key])
        name = f"{PREFIX}{ARGUMENTS[key]}"
        value = [name] if key == "data.demonstrations" else name
        handed.append(Handed(key=key, kinds=KINDS[key], value=value, objects={name: dataset}))
    return handed


def _check_can_travel(specs: list[RewardSpec], objects: Objects) -> None:
    if objects:  # else nothing of Ray is needed
        from vr1_ray.actors.rewards.handing import pack

        for pool in {spec.pool for spec in specs}:
            pack(specs, pool, objects)


def _reward_specs(rewards: Sequence[AnyReward]) -> tuple[list[RewardSpec], dict[str, Any]]:
    """A spec per reward, and the objects that they name."""
    if isinstance(rewards, str) or not isinstance(rewards, Sequence):
        raise ConfigError(f"rewards: {rewards!r:.80} is no list; write rewards=[...]")
    specs: list[RewardSpec] = []
    objects: dict[str, Any] = {}
    for number, given in enumerate(rewards):
        reward, weight = _with_weight(given, number)
        if isinstance(reward, RewardSpec):
            specs.append(reward)
            continue
        name = reward if isinstance(reward, str) else _object_name(reward, objects)
        if not isinstance(reward, str):
            objects[name] = reward
        specs.append(RewardSpec(name=name, weight=weight))
    return specs, objects


def _with_weight(given: Any, number: int) -> tuple[Any, float]:
    if not isinstance(given, tuple):
        return given, 1.0
    is_pair = len(given) == 2 and isinstance(given[1], int | float)
    if not is_pair or isinstance(given[0], RewardSpec):
        raise ConfigError(
            f"rewards[{number}]: {given!r:.80} is no (reward, weight); give two, such as (is_short, 0.1), and a "
            "RewardSpec alone: it has its weight"
        )
    return given[0], float(given[1])


def _object_name(thing: Any, objects: Objects) -> str:
    """What an object is called in the config: its own name, with a number if another one has it."""
    inner = thing.func if isinstance(thing, partial) else thing
    own = getattr(inner, "__name__", type(inner).__name__).strip("<>")
    names = (f"{PREFIX}{own}{suffix}" for suffix in ("", *(f"_{n}" for n in range(2, 1000))))
    return next(name for name in names if objects.get(name, thing) is thing)


def name_in(config: RunConfig, handed: list[Handed]) -> RunConfig:
    """The config with every object's name in its place. Raises ConfigError for what no run would read."""
    for one in handed:
        kinds: list[Any] = [config.kind]
        if config.kind == "recipe":
            kinds = [step.get("kind") for step in config.steps.values() if isinstance(step, dict)]
        if not set(kinds) & set(one.kinds):
            raise ConfigError(
                f"{ARGUMENTS.get(one.key, one.key)}: no run of kind {' or '.join(one.kinds)} is there to read it (here: "
                f"{', '.join(map(str, kinds))}); leave it out, or give it to a config that has one"
            )
    if config.kind == "recipe":
        steps = {
            name: _set_objects(step, step.get("kind"), handed) if isinstance(step, dict) else step
            for name, step in config.steps.items()
        }
        return replace(config, steps=steps)
    return _set_objects(config, config.kind, handed)


def _set_objects(run: Any, kind: str | None, handed: list[Handed]) -> Any:
    names: dict[str, str] = {}
    for one in handed:
        if kind in one.kinds:
            plain = isinstance(run, dict) and one.key == "rewards"
            value = [asdict(spec) for spec in one.value] if plain else one.value
            run = _with(run, one.key.split("."), value)
            names |= {name: what_it_was(thing) for name, thing in one.objects.items()}
    return _with(run, ["objects"], names) if names else run


def _with(node: Any, keys: list[str], value: Any) -> Any:
    """A copy of a config, or of the mapping of a recipe's step, with one value in another's place."""
    if not keys:
        return value
    head, *rest = keys
    if is_dataclass(node) and not isinstance(node, type):
        return replace(node, **{head: _with(getattr(node, head), rest, value)})
    return {**node, head: _with(node.get(head, {}), rest, value)}


def what_it_was(thing: Any) -> str:
    """What an object was, in a line: enough to tell another one of the same name. Of code, a hash of its source."""
    if hasattr(thing, "_fingerprint"):
        return f"Dataset of {counted(len(thing), 'row')}, fingerprint {thing._fingerprint}"
    settings = ""
    if isinstance(thing, partial):
        settings = f"{thing.args!r:.100} {thing.keywords!r:.100} "
        thing = thing.func
    code = thing if inspect.isclass(thing) or hasattr(thing, "__code__") else type(thing)
    try:
        source = inspect.getsource(code).encode()
    except (OSError, TypeError):  # typed at a prompt that keeps no source
        source = _compiled(code)
    own = f"{code.__module__}.{code.__qualname__}"
    return f"{own} {settings}with source {hashlib.sha256(source).hexdigest()[:12]}"


def _compiled(code: Any) -> bytes:
    """What tells two functions without source apart: instructions, names and plain constants."""
    inner = getattr(code, "__code__", None)
    if inner is None:
        return b""
    plain = [one for one in inner.co_consts if isinstance(one, int | float | str | bytes)]
    return inner.co_code + repr((plain, inner.co_names)).encode()
