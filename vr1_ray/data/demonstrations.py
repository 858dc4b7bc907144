"""Cold-start demonstrations from sharegpt files, in both forms that Vision-R1-cold is published in.

    {"id": ..., "image": "a/b.png",  "conversations": [{"from": "human", "value"}, {"from": "gpt", "value"}]}
    {"images": "a/b.png" or [..],    "conversations": [{"from": "user", ...}, {"from": "assistant", ...}]}

`messages` with `role` and `content` is read as well. The forms may stand in one run, each in its own file
(.json array or .jsonl). A row is one question and one response. Where the question has no `<image>` mark,
one per image is put before it. A system text, column or turn, is left out and counted in the log: the
run's own `model.system_prompt` rules. Image paths are relative to the file, or to `data.image_root`.
"""

import json
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from vr1_ray.config import DataConfig
from vr1_ray.data.images import IMAGE_MARK, DataError, ImageReader, RowProblems, check_marks
from vr1_ray.data.prompts import make_prompt, number_duplicates
from vr1_ray.types import Demonstration

log = logging.getLogger(__name__)

_FIELD = "data.demonstrations"
_ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}
_FINAL_ANSWER = re.compile(r"<answer>\s*(?:Final Answer:)?(.*?)\s*</answer>", re.DOTALL)


def load_demonstrations(config: DataConfig) -> list[Demonstration]:
    """All demonstrations of `data.demonstrations`, in order. Raises DataError."""
    if not config.demonstrations:
        raise DataError(f"{_FIELD}: empty; give one or more sharegpt .json or .jsonl files")
    demonstrations: list[Demonstration] = []
    for source in config.demonstrations:
        left = config.max_rows - len(demonstrations) if config.max_rows else None
        if left != 0:
            demonstrations.extend(_load_file(config, Path(source), left))
    prompts = number_duplicates([item.prompt for item in demonstrations])
    return [
        replace(item, prompt=prompt) for item, prompt in zip(demonstrations, prompts, strict=True)
    ]


def drop_overlong(
    demonstrations: list[Demonstration], length_of: Callable[[Demonstration], int], cutoff_len: int
) -> tuple[list[Demonstration], int]:
    """The demonstrations of at most `cutoff_len` tokens, prompt and response, and the number dropped.

    A longer one is never cut: without its `</answer>` it would teach to think without end.
    """
    kept = [item for item in demonstrations if length_of(item) <= cutoff_len]
    if demonstrations and not kept:
        raise DataError(
            f"data.cutoff_len: {cutoff_len} leaves none of {len(demonstrations)} demonstrations; raise the limit"
        )
    return kept, len(demonstrations) - len(kept)


def _load_file(config: DataConfig, path: Path, max_rows: int | None) -> list[Demonstration]:
    rows = _read_rows(path)[:max_rows]
    images = ImageReader(
        Path(config.image_root) if config.image_root else path.parent, config.max_image_pixels
    )
    problems = RowProblems(_FIELD, str(path))
    demonstrations: list[Demonstration] = []
    num_system = 0
    for number, row in enumerate(rows):
        try:
            demonstration, has_system = to_demonstration(row, images)
            demonstrations.append(demonstration)
            num_system += has_system
        except DataError as error:
            problems.add(number, str(error))
    problems.raise_if_any()
    if num_system:
        log.warning(
            "%s: %d rows have a system text, which is not used; set model.system_prompt",
            path,
            num_system,
        )
    return demonstrations


def _read_rows(path: Path) -> list[Any]:
    if not path.is_file():
        raise DataError(
            f"{_FIELD}: {path} does not exist; check the path (relative to {Path.cwd()})"
        )
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".jsonl":
            rows = [json.loads(line) for line in text.split("\n") if line.strip()]
        else:
            rows = json.loads(text)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{_FIELD}: {path} can't be read as JSON ({error}); check that it is whole"
        ) from error
    if not isinstance(rows, list):
        raise DataError(
            f"{_FIELD}: {path} holds a {type(rows).__name__}; a sharegpt file is a list of rows"
        )
    if not rows:
        raise DataError(f"{_FIELD}: {path} has no rows; give a file that has")
    return rows


def to_demonstration(row: Any, images: ImageReader) -> tuple[Demonstration, bool]:
    """One row, and whether it had a system text. Raises DataError with what is wrong with it."""
    if not isinstance(row, dict):
        raise DataError(f"{row!r:.80} is no row; a row is an object with `conversations`")
    question, response, has_system = _turns(row)
    column = "images" if "images" in row else "image"
    try:
        pictures = images.read_all(row.get(column))
    except DataError as error:
        raise DataError(f"{column}: {error}") from error
    if pictures and IMAGE_MARK not in question:
        question = IMAGE_MARK * len(pictures) + question
    check_marks(question, len(pictures), "conversations")
    final = _FINAL_ANSWER.search(response)
    prompt = make_prompt(question, pictures, final.group(1).strip() if final else "")
    return Demonstration(prompt=prompt, response=response), has_system or bool(row.get("system"))


def _turns(row: dict[str, Any]) -> tuple[str, str, bool]:
    """Question, response, and whether a system turn stood before them."""
    turns = row.get("conversations") or row.get("messages")
    if not isinstance(turns, list) or not turns:
        raise DataError(f"conversations: missing; the row has {', '.join(row) or 'no columns'}")
    texts = [_turn(turn) for turn in turns]
    has_system = texts[0][0] == "system"
    texts = texts[1:] if has_system else texts
    roles = [role for role, _ in texts]
    if roles != ["user", "assistant"]:
        raise DataError(
            f"conversations: turns are {', '.join(roles) or 'none'}; a demonstration is one question (human or "
            "user) and one response (gpt or assistant)"
        )
    for role, text in texts:
        if not text.strip():
            raise DataError(f"conversations: the {role} turn is empty; write it, or drop the row")
    return texts[0][1], texts[1][1], has_system


def _turn(turn: Any) -> tuple[str, str]:
    role = turn.get("from", turn.get("role")) if isinstance(turn, dict) else None
    text = turn.get("value", turn.get("content")) if isinstance(turn, dict) else None
    if role not in _ROLES or not isinstance(text, str):
        raise DataError(
            f"conversations: {turn!r:.80} is no turn; use {{from, value}} or {{role, content}} with "
            f"one of the roles {', '.join(_ROLES)}"
        )
    return _ROLES[role], text
