"""Reading a config's YAML: its tree, the line of each key, and one clear message for whatever YAML stumbles over."""

import re
from pathlib import Path
from typing import Any

import yaml

from vr1_ray.config.errors import ConfigError
from vr1_ray.config.overrides import Path as Key
from vr1_ray.config.overrides import key_of

_PLAIN = (str, int, float, bool, list, dict)
# What YAML's parsers say (libyaml's and the one in Python), what it means, and whether the cause is where it began.
_CAUSES = (
    (r"tab character|'\\t'", "a tab, which YAML does not take for indentation; use spaces", False),
    (
        r"cannot start any token|non-alphabetical character",
        "the value or key begins with a sign that has a meaning in YAML (%, @ or `); quote it",
        False,
    ),
    (
        r"mapping values are not allowed",
        "a second ': ' in one line, or a key that stands further to the right than the one before; quote the value, or "
        "mend the indentation",
        False,
    ),
    (r"'\]'|'\}'", "a bracket is opened here and never closed; close it", True),
    (r"end of stream", "a quote is opened here and never closed; close it", True),
    (
        r"expected key|block end|block mapping|'-' indicator",
        "indented unlike the keys before it; put keys of one section one below the other",
        False,
    ),
    (r"expected ':'", "a line that is no `key: value`; write the colon and a space, or quote it", True),
    (r"undefined alias", "a value that begins with * stands for another in YAML; quote it", False),
    (r"the tag", "a value that begins with ! names a type in YAML; quote it", False),
    (r"another document|single document", "--- begins a second config; keep one in a file", False),
    (
        r"unhashable key",
        "a mapping or list stands where a key does, as in {{name}}; templates are not filled in: write ${section.key}",
        False,
    ),
    (r"for merging", "<< takes a mapping that is named with & above; write the keys out", False),
)  # fmt: skip


def read_yaml(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """The tree of a file, and the line of each key. Raises ConfigError, with the line and the cure."""
    text = _text(path)
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
        tree = loader.get_single_node()
        raw = loader.construct_document(tree) if tree is not None else None
    except yaml.YAMLError as error:
        raise ConfigError(_stumble(path, text, error)) from error
    except (ValueError, RecursionError) as error:  # 2024-13-45 is no date; brackets without end
        first = str(error).split("\n")[0]
        raise ConfigError(f"{path}: a value can't be read ({first}); quote it") from error
    if raw is None:
        raise ConfigError(
            f"{path}: empty; a config begins with `kind:`, such as one of the shipped configs, and `vr1 init NAME` "
            "writes one for your data"
        )
    if not isinstance(raw, dict):
        raise ConfigError(
            f"config {str(path)!r} must be a mapping of keys to values, not {type(raw).__name__}"
        )
    lines: dict[str, int] = {}
    _find_lines(tree, (), lines, str(path))
    _check_values(raw, (), lines, str(path))
    return raw, lines


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}, line {line}: no UTF-8 text; save the file as UTF-8") from error
    except OSError as error:
        raise ConfigError(
            f"{path}: can't be read ({error.strerror}); mend its permissions"
        ) from error


def _stumble(path: Path, text: str, error: yaml.YAMLError) -> str:
    """One line for an error of YAML: place, what is wrong, the cure, and the line itself."""
    said = str(error)
    what, is_at_start = next(
        ((what, at_start) for pattern, what, at_start in _CAUSES if re.search(pattern, said)),
        ("", False),
    )
    began, stopped = getattr(error, "context_mark", None), getattr(error, "problem_mark", None)
    mark = (began if is_at_start else stopped) or stopped or began
    if mark is not None and text[mark.index : mark.index + 1] == "\t":
        what = _CAUSES[0][1]
    if mark is None:  # a sign that no text may hold
        position = getattr(error, "position", 0)
        line = text[:position].count("\n") + 1
        return f"{path}, line {line}: a control character ({text[position : position + 1]!r}); take it out"
    if not what:
        what = f"{getattr(error, 'problem', None) or said.splitlines()[0]}; mend it, or quote the value"
    shown = text.splitlines()[mark.line : mark.line + 1]
    return f"{path}, line {mark.line + 1}: {what}" + "".join(f" ({one.strip():.80})" for one in shown)  # fmt: skip


def _check_values(value: Any, way: Key, lines: dict[str, int], where: str) -> None:
    """Refuses what YAML makes of an unquoted text and no setting is: dates, sets, bytes, `on` or `null` as a key."""
    place = f"{where}{_line(way, lines)}: {key_of(way)}"
    if isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(name, bool) or not isinstance(name, (str, int)):
                begin = f"{where}: " + (f"{key_of(way)}: " if way else "")
                raise ConfigError(
                    f"{begin}a key is {name!r}, as YAML reads yes, no, on, off, null and dates; quote it"
                )
            _check_values(inner, (*way, str(name)), lines, where)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _check_values(inner, (*way, number), lines, where)
    elif value is not None and not isinstance(value, _PLAIN):
        raise ConfigError(
            f"{place}: {value} is a {type(value).__name__} in YAML, which no setting is; quote it if it is a text"
        )


def _line(way: Key, lines: dict[str, int]) -> str:
    line = next((lines[key] for end in range(len(way), 0, -1) if (key := key_of(way[:end])) in lines), 0)  # fmt: skip
    return f", line {line}" if line else ""


def _find_lines(node: Any, path: Key, lines: dict[str, int], where: str) -> None:
    """Note the line of every key. Raises ConfigError for a key that is there twice: YAML would drop the first."""
    if isinstance(node, yaml.SequenceNode):
        for place, inner in enumerate(node.value):
            _find_lines(inner, (*path, place), lines, where)
    if not isinstance(node, yaml.MappingNode):
        return
    for name, inner in node.value:
        key, line = key_of((*path, name.value)), name.start_mark.line + 1
        if key in lines and name.value != "<<":
            raise ConfigError(
                f"{where}, line {line}: {key}: set in line {lines[key]} already; keep one"
            )
        lines[key] = line
        _find_lines(inner, (*path, name.value), lines, where)
