"""The schema, field by field: key, type, range, default and meaning, as the dataclasses say them. Nothing is said twice.

A key is written as in a YAML or an override; `[]` stands for a place in a list, NAME for a key of one's own:
`curriculum.stages[].steps`, `reward_pools.NAME.num_actors`. Whoever asks something of all fields asks here: the ranges,
`vr1 config`, near misses, the table of what has an effect.
"""

import ast
import inspect
import io
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from vr1_ray.config.ranges import Range

REQUIRED = "???"  # OmegaConf's mark of a field without a default


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One key of the schema.

    Example:
        by_key()["trainer.optimizer.lr"].range.text    # "above 0 and at most 1"
        by_key()["trainer.optimizer.lr"].meaning       # "the peak, after warm-up"
    """

    key: str
    hint: Any  # as the dataclass has it, range and all
    default: Any  # REQUIRED: it must be given
    owner: type
    name: str

    @property
    def range(self) -> Range | None:
        """Of its number, or of each number in its list or mapping; None if it holds none."""
        return range_of(self.hint)

    @property
    def type_text(self) -> str:
        """The type as a user would say it."""
        return _type_text(self.hint)

    @property
    def meaning(self) -> str:
        """The schema's own comment, above the field and behind it."""
        return comments_of(self.owner).get(self.name, "")


@cache
def by_key(schema: type) -> dict[str, Setting]:
    """All settings of a config's dataclass, in the order of the schema."""
    return {setting.key: setting for setting in settings(schema)}


def settings(schema: type, prefix: str = "") -> Iterator[Setting]:
    """Every key below a dataclass. Sections have none of their own; lists and mappings of sections have."""
    hints = hints_of(schema)
    for field in fields(schema):
        key, hint = f"{prefix}{field.name}", hints[field.name]
        section = section_of(hint)
        if section is None or container_of(hint) is not None or not _is_plain(hint):
            default = field.default
            if field.default_factory is not MISSING:
                default = field.default_factory()
            if default is MISSING:
                default = REQUIRED
            yield Setting(key=key, hint=hint, default=default, owner=schema, name=field.name)
        if section is not None:
            inner = {list: f"{key}[].", dict: f"{key}.NAME."}.get(container_of(hint), f"{key}.")
            yield from settings(section, inner)


@cache
def hints_of(schema: type) -> dict[str, Any]:
    """The types of a dataclass's fields, with their ranges."""
    return get_type_hints(schema, include_extras=True)


def bare(hint: Any) -> Any:
    """A type without its range and without `| None`."""
    if get_origin(hint) is Annotated:
        return bare(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        [only] = [one for one in get_args(hint) if one is not NoneType]
        return bare(only)
    return hint


def may_be_none(hint: Any) -> bool:
    """Whether null is a value of the type."""
    return get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint)


def container_of(hint: Any) -> Any:
    """`list`, `dict` or None."""
    found = get_origin(bare(hint))
    return found if found in (list, dict) else None


def element_of(hint: Any) -> Any:
    """The type of what a list or mapping holds."""
    return get_args(bare(hint))[-1]


def section_of(hint: Any) -> type | None:
    """The dataclass that a field, or each place of its list or mapping, is; None for other types."""
    inner = bare(element_of(hint)) if container_of(hint) else bare(hint)
    return inner if isinstance(inner, type) and is_dataclass(inner) else None


def range_of(hint: Any) -> Range | None:
    """The range beside a type, or beside what its list or mapping holds."""
    if get_origin(hint) is Annotated:
        return next((one for one in get_args(hint)[1:] if isinstance(one, Range)), None)
    if get_origin(hint) in (Union, UnionType, list, dict):
        return next((found for one in get_args(hint) if (found := range_of(one))), None)
    return None


def numbers_out_of_range(section: Any, prefix: str = "") -> Iterator[str]:
    """A line for each number of a config that is outside its field's range: field, value, range and meaning."""
    owner: type = type(section)
    hints = hints_of(owner)
    for field in fields(section):
        value, hint = getattr(section, field.name), hints[field.name]
        places = {
            list: lambda value=value: {f"[{at}]": one for at, one in enumerate(value)},
            dict: lambda value=value: {f".{name}": one for name, one in value.items()},
        }.get(container_of(hint), lambda value=value: {"": value})()
        for place, one in places.items():
            key = f"{prefix}{field.name}{place}"
            if is_dataclass(one):
                yield from numbers_out_of_range(one, f"{key}.")
                continue
            limits = range_of(hint)
            is_number = isinstance(one, (int, float)) and not isinstance(one, bool)
            if limits is not None and is_number and not limits.has(one):
                meaning = comments_of(owner).get(field.name)
                why = f" ({meaning})" if meaning else ""
                yield f"{key}: {one:.10g} must be {limits.text}{why}"


@cache
def comments_of(owner: type) -> dict[str, str]:
    """What the source of a dataclass says of each field: the comment lines above it, then the one behind it."""
    source = inspect.getsource(sys.modules[owner.__module__])
    lines = source.split("\n")
    comments = {
        token.start[0]: token.string.removeprefix("#").strip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    found = {}
    [tree] = [
        one
        for one in ast.parse(source).body
        if isinstance(one, ast.ClassDef) and one.name == owner.__name__
    ]
    for node in tree.body:
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
            continue
        first = node.lineno
        while first > 1 and lines[first - 2].strip().startswith("#"):
            first -= 1
        texts = [comments[line] for line in range(first, node.end_lineno + 1) if line in comments]  # type: ignore[operator]
        found[node.target.id] = " ".join(texts)
    return found


def _is_plain(hint: Any) -> bool:
    """Whether a section is always there, not `| None`."""
    return not may_be_none(hint)


def _type_text(hint: Any) -> str:
    inner = bare(hint)
    if may_be_none(hint):
        return f"{_type_text(inner)} or null"
    if get_origin(inner) is Literal:
        return " | ".join(str(one) for one in get_args(inner))
    if container_of(inner) is list:
        return f"list of {_type_text(element_of(inner))}"
    if container_of(inner) is dict:
        return f"mapping to {_type_text(element_of(inner))}"
    if is_dataclass(inner):
        return "section"
    return {str: "text", int: "int", float: "float", bool: "true | false", Any: "anything"}[inner]
