"""Whether a tree of YAML values has the shape of the schema: keys that exist, values of their types, nothing missing.

All faults are told, each with its key, so that `loading.py` can say whether the file or the command line is at fault.
"""

import difflib
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin

from vr1_ray.config.counterparts import meant_by
from vr1_ray.config.effects import KINDS, kinds_of
from vr1_ray.config.fields import (
    REQUIRED,
    bare,
    by_key,
    container_of,
    element_of,
    hints_of,
    may_be_none,
    section_of,
)
from vr1_ray.config.given import keys_in
from vr1_ray.config.paths import is_path, no_path
from vr1_ray.config.schema import RunConfig
from vr1_ray.wording import did_you_mean, nearest

Fault = tuple[str, str]  # key, what is wrong with it

# What other frameworks call a setting of ours.
OTHER_NAMES = {
    "learning_rate": "trainer.optimizer.lr",
    "lr_scheduler": "trainer.optimizer.schedule",
    "lr_scheduler_type": "trainer.optimizer.schedule",
    "beta": "algorithm.kl_coef",
    "kl": "algorithm.kl_coef",
    "kl_beta": "algorithm.kl_coef",
    "init_kl_coef": "algorithm.kl_coef",
    "epsilon": "algorithm.clip_low",
    "epsilon_high": "algorithm.clip_high",
    "cliprange": "algorithm.clip_low",
    "clip_ratio": "algorithm.clip_low",
    "num_generations": "curriculum.stages[].group_size",
    "n_samples_per_prompt": "curriculum.stages[].group_size",
    "max_completion_length": "curriculum.stages[].max_response_tokens",
    "max_new_tokens": "curriculum.stages[].max_response_tokens",
    "max_tokens": "curriculum.stages[].max_response_tokens",
    "generate_max_len": "curriculum.stages[].max_response_tokens",
    "max_prompt_length": "data.max_prompt_tokens",
    "prompt_max_len": "data.max_prompt_tokens",
    "batch_size": "prompts_per_step",
    "train_batch_size": "prompts_per_step",
    "rollout_batch_size": "prompts_per_step",
    "per_device_train_batch_size": "prompts_per_step",
    "num_train_epochs": "num_epochs",
    "epochs": "num_epochs",
    "total_epochs": "num_epochs",
    "model_name_or_path": "model.path",
    "model_path": "model.path",
    "pretrain": "model.path",
    "dataset": "data.train",
    "train_files": "data.train",
    "prompt_data": "data.train",
    "val_files": "eval.data",
    "eval_dataset": "eval.data",
    "output_dir": "runs_folder",
    "save_path": "runs_folder",
    "save_steps": "checkpoint.every_steps",
    "save_freq": "checkpoint.every_steps",
    "eval_steps": "eval.every_steps",
    "test_freq": "eval.every_steps",
    "report_to": "tracking.wandb",
    "use_wandb": "tracking.wandb",
    "question_column": "data.prompt_column",
    "prompt_key": "data.prompt_column",
    "answer_key": "data.answer_column",
    "image_key": "data.images_column",
    "image_column": "data.images_column",
    "vllm_num_engines": "rollout.num_engines",
    "micro_batch_size": "trainer.max_tokens_per_micro_batch",
    "max_norm": "trainer.optimizer.max_grad_norm",
}


def faults(tree: dict[str, Any], schema: type = RunConfig) -> Iterator[Fault]:
    """Everything in which a tree is not of the schema; the steps of a recipe are trees of the same form."""
    yield from _section(tree, schema, "", base="", kinds=_kinds_in(tree))
    steps: Any = tree.get("steps") if schema is RunConfig else None
    if not isinstance(steps, dict):
        return
    for name, step in steps.items():
        prefix = f"steps.{name}."
        if not isinstance(step, dict) or "kind" not in step:
            others = ", ".join(one for one in steps if one != name)
            yield (
                f"{prefix}kind",
                f"missing; give figure_math, bridge, sft, rl or eval (other steps: {others})",
            )
        else:
            yield from _section(step, RunConfig, prefix, base=prefix, kinds=_kinds_in(step))


def _kinds_in(tree: dict[str, Any]) -> frozenset[str]:
    """The kinds of run that a tree is of: several for a recipe, none if it does not say so."""
    if tree.get("kind") != "recipe":
        return frozenset([str(tree["kind"])] if tree.get("kind") in KINDS["seed"] else [])
    steps = tree.get("steps")
    inner = [one for one in steps.values() if isinstance(one, dict)] if isinstance(steps, dict) else []  # fmt: skip
    found = [_kinds_in(one) for one in inner]
    return frozenset().union({"recipe"}, *found) if found and all(found) else frozenset()


def _section(
    tree: dict[str, Any], schema: type, prefix: str, *, base: str, kinds: frozenset[str]
) -> Iterator[Fault]:
    hints = hints_of(schema)
    for name in tree:
        if name not in hints:
            meant = _near_of_unknown(f"{prefix}{name}", tree[name], base, kinds)
            yield f"{prefix}{name}", f"no such setting; {meant}"
    for field in fields(schema):
        key, hint = f"{prefix}{field.name}", hints[field.name]
        value = tree.get(field.name, REQUIRED if field.default == REQUIRED else None)
        if value == REQUIRED:
            yield key, f"missing; give {_wanted(hint)}"
        elif field.name in tree:
            yield from _value(value, hint, key, base=base, kinds=kinds)


def _value(value: Any, hint: Any, key: str, *, base: str, kinds: frozenset[str]) -> Iterator[Fault]:
    if isinstance(value, str) and "${" in value:
        return  # what it stands for is known when all is merged
    if value is None:
        if not may_be_none(hint) and bare(hint) is not Any:
            yield key, f"null; give {_wanted(hint)}"
        return
    if isinstance(value, str) and is_path(hint) and (wrong := no_path(value)):
        yield key, wrong
    kind, section = container_of(hint), section_of(hint)
    expected = kind or (dict if section else None)
    if expected is not None and not isinstance(value, expected):
        yield key, f"{value!r} is {_word(value)}; give {_wanted(hint)}"
    elif kind is not None:
        for place, one in _places(value, key).items():
            yield from _value(one, element_of(hint), place, base=base, kinds=kinds)
    elif section is not None:
        yield from _section(value, section, f"{key}.", base=base, kinds=kinds)
    elif not _fits(value, bare(hint)):
        words = [str(x) for x in get_args(bare(hint))] if get_origin(bare(hint)) is Literal else []
        meant = f".{did}" if (did := did_you_mean(str(value), words)) else ""
        yield key, f"{value!r} is {_word(value)}; give {_wanted(hint)}{meant}"


def _places(value: list | dict, key: str) -> dict[str, Any]:
    if isinstance(value, list):
        return {f"{key}[{place}]": one for place, one in enumerate(value)}
    return {f"{key}.{name}": one for name, one in value.items()}


def _fits(value: Any, kind: Any) -> bool:
    if kind is Any:
        return True
    if isinstance(value, (dict, list)):
        return False
    if get_origin(kind) is Literal:
        return str(value) in map(str, get_args(kind))
    if kind is bool:
        return isinstance(value, bool) or str(value).lower() in ("true", "false")
    if isinstance(value, bool):
        return False  # `name: yes` is the truth in YAML, and no text
    if kind is str:
        return True
    if kind is int and isinstance(value, float):
        return False
    try:
        kind(value)
    except (ValueError, TypeError):
        return False
    return True


def near_miss(key: str, base: str = "", kinds: frozenset[str] = frozenset()) -> str:
    """A cure for a key that doesn't exist: the keys that were probably meant, or where all are listed.

    Of runs of the `kinds`, if some are given, only keys that do something in them are proposed.

    Example:
        near_miss("lr")                     # "did you mean trainer.optimizer.lr?"
        near_miss("rollout.num_engine")     # "did you mean rollout.num_engines?"
    """
    found = near_keys(key, base, kinds)
    if found:
        return f"did you mean {' or '.join(found)}?"
    parent = key.removeprefix(base).rpartition(".")[0]
    is_section = any(one.startswith(f"{pattern(parent)}.") for one in by_key(RunConfig))
    listed = f"`vr1 config{f' {parent}' if is_section else ''}` lists all"
    other = near_keys(key.removeprefix(base))
    if not other:
        return listed
    only = ", ".join(kinds_of(pattern(other[0])))
    cure = meant_by(pattern(other[0]), next(iter(kinds))) if len(kinds) == 1 else ""
    return f"{other[0]} is for kind {only} only; {cure or listed}"


def _near_of_unknown(key: str, value: Any, base: str, kinds: frozenset[str]) -> str:
    """As `near_miss`; of a section that does not exist, as `optimizer: {lr: 1}`, the keys in it tell more than its name."""
    first = next(iter(keys_in(value, f"{key}.")), "") if isinstance(value, dict) else ""
    return near_miss(first if near_keys(first, base) else key, base, kinds)


def near_keys(key: str, base: str = "", kinds: frozenset[str] = frozenset()) -> list[str]:
    """The keys that one which doesn't exist was probably meant to be, at most three; itself if it exists."""
    own = key.removeprefix(base)
    parent, _, name = own.rpartition(".")
    known = [one for one in by_key(RunConfig) if one != "steps" and _acts_in(one, kinds)]
    by_name: dict[str, list[str]] = {}
    for one in known:
        by_name.setdefault(one.rpartition(".")[2], []).append(one)
    sections = {one.rpartition(".")[0] for one in known if "." in one}
    siblings = [one for one in known if one.rpartition(".")[0] == pattern(parent)]
    close = difflib.get_close_matches(f"{pattern(parent)}.{name}".lstrip("."), siblings, 1, 0.85)
    anywhere = difflib.get_close_matches(name, by_name, 1, 0.75)
    others = difflib.get_close_matches(name, OTHER_NAMES, 1, 0.9)  # also with a slip of the pen
    found = (
        ([own] if pattern(own) in known else [])
        or close
        or _in_a_near_section(pattern(parent), pattern(name), known, sections)
        or by_name.get(name)
        or [OTHER_NAMES[one] for one in others if OTHER_NAMES[one] in known]
        or [one for one in [nearest(own, sections, 0.8)] if one]
        or (by_name[anywhere[0]] if anywhere else [])
    )
    return [f"{base}{one}".replace("[]", "[0]") for one in found[:3]]


def _in_a_near_section(parent: str, name: str, known: list[str], sections: set[str]) -> list[str]:
    """The key in the section that one which doesn't exist was meant to be, or that section."""
    if not parent or parent in sections:
        return []
    ends = [one for one in sections if one.endswith(f".{parent}")]
    section = ends[0] if ends else nearest(parent, sections, 0.8)
    of_it = {one.rpartition(".")[2]: one for one in known if one.rpartition(".")[0] == section}
    found = of_it.get(nearest(name, of_it, 0.75), section)
    return [found] if found else []


def is_known(key: str) -> bool:
    """Whether a key, or a section, is in the schema."""
    own = pattern(key)
    return any(f"{one}.".startswith((f"{own}.", f"{own}[")) for one in by_key(RunConfig))


def _acts_in(key: str, kinds: frozenset[str]) -> bool:
    return not kinds or not kinds.isdisjoint(kinds_of(key))


def pattern(key: str) -> str:
    """A key as the schema has it, with `[]` for a place in a list.

    Example:
        pattern("curriculum.stages[0].steps")    # "curriculum.stages[].steps"
    """
    head, bracket, rest = key.partition("[")
    return f"{head}[]{pattern(rest.partition(']')[2])}" if bracket else head


def _wanted(hint: Any) -> str:
    inner, section = bare(hint), section_of(hint)
    null = " or null" if may_be_none(hint) else ""
    if get_origin(inner) is Literal:
        return f"one of {', '.join(map(str, get_args(inner)))}{null}"
    if section is not None:
        form = ", ".join(f"{field.name}: ..." for field in fields(section)[:2])
        return {
            list: f"a list, such as [{{{form}}}]",
            dict: f"names with settings, such as {{NAME: {{{form}}}}}",
        }.get(container_of(hint), f"settings, such as {{{form}}}{null}")
    if container_of(hint) is list:
        return "a list, such as [a, b]"
    if container_of(hint) is dict:
        return "a mapping, such as {key: value}"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    return f"{words[inner]}{null}"


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false in YAML; in quotes it is a text"
    words: dict[type, str] = {dict: "a mapping", list: "a list", str: "a text"}
    return words.get(type(value), "a number")
