r"""The forms that rows come in. Each is known by its columns, and said in one line of the log.

The columns that `data.prompt_column`, `answer_column` and `images_column` name go first; a row that lacks the first
is looked for in `FORMS`, from the top. To add a form, add a row there.

What stands in a text column is a text, or a chat: [{"role" or "from", "content" or "value"}], also as JSON text,
whose content is a text or a list of OpenAI's parts ({"type": "text" | "image" | "image_url", ...}).
"""

from dataclasses import dataclass, field
from typing import Any

from vr1_ray.config import DataConfig
from vr1_ray.data.json_cells import json_value
from vr1_ray.data.lost_pictures import other_pictures
from vr1_ray.data.picture_cells import is_empty
from vr1_ray.data.refusals import DataError, shortened
from vr1_ray.data.turn_fields import untaught, unused_fields
from vr1_ray.pictures import IMAGE_MARK, escape_marks

IMAGES = DataConfig().images_column


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """Which columns hold what.

    Example:
        Form(name="query and response", text="query", response="response")
    """

    name: str
    text: str  # the question, or the whole chat
    response: str = ""  # where it does not stand in the chat
    pictures: tuple[str, ...] = ()  # instead of `data.images_column`, in files that lack it


FORMS = (
    Form(name="ShareGPT", text="conversations", pictures=("image",)),
    Form(name="chat messages", text="messages", pictures=("image",)),
    Form(name="prompt and completion", text="prompt", response="completion"),
    Form(name="a chat prompt (verl, TRL)", text="prompt"),
    Form(name="query and response", text="query", response="response"),
    Form(name="problem and response", text="problem", response="response"),
    Form(name="problem and solution", text="problem", response="solution"),
    Form(name="question and response", text="question", response="response", pictures=("image",)),
    Form(name="question", text="question", pictures=("image",)),
)
ANSWERS = ("answer", "reward_model", "ground_truth", "solution")  # instead of `data.answer_column`
_ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "system": "system",
}
_MEDIA_PARTS = ("image", "image_url", "input_image")


@dataclass(kw_only=True, slots=True)
class Chat:
    """What a text column holds: a question, maybe with pictures in it, maybe with its response."""

    question: str = ""
    response: str | None = None
    pictures: list[Any] = field(default_factory=list)
    has_system: bool = False
    untaught: str = ""  # what of the response stands in no text, so that none could learn it
    unused: tuple[str, ...] = ()  # other fields of the turns


def form_of(row: dict[str, Any], config: DataConfig, *, wants_response: bool) -> Form | None:
    """The form of a row; None if it has no column that is known to hold a question."""
    plain = Form(name="", text=config.prompt_column)
    known = [
        form
        for form in FORMS
        if form.text in row
        and (form.response in row if form.response else True)
        and (not wants_response or form.response or isinstance(row[form.text], list | str))
    ]
    filled = (form for form in known if not _lacks(row, form))  # joined sources leave empty columns
    found = next(filled, next(iter(known), None))
    return plain if config.prompt_column in row and not wants_response else found


def _lacks(row: dict[str, Any], form: Form) -> bool:
    """Whether a column of the form is empty in this row."""
    return is_empty(row[form.text]) or bool(form.response and is_empty(row[form.response]))


def answer_column(row: dict[str, Any], config: DataConfig) -> str | None:
    """The column of the reference answer, with a dot before a struct's field; None without one."""
    wanted = config.answer_column
    struct, _, name = wanted.partition(".")
    if wanted in row or (name and isinstance(row.get(struct), dict)):
        return wanted
    if wanted != DataConfig().answer_column:
        return None  # named on purpose
    return next((name for name in ANSWERS if not is_empty(row.get(name))), None)


def answer_cell(row: dict[str, Any], column: str) -> Any:
    """The cell of `answer_column`."""
    struct, _, name = column.partition(".")
    return row[column] if column in row else row[struct].get(name)


def read_chat(cell: Any, column: str) -> Chat:
    """A text, or a chat of one question and at most one response. Raises DataError."""
    if isinstance(cell, str):
        turns = [] if cell.strip() == "[]" else _turns_of_text(cell)
        if turns is None:
            return Chat(question=cell)
        cell = turns
    if not isinstance(cell, list):
        raise DataError(
            f"{column}: {shortened(cell)} is no question; give every row a text, or a chat of turns"
        )
    if not cell:
        raise DataError(f"{column}: missing, the chat has no turns; write it, or drop the row")
    chat = Chat()
    turns = [_turn(turn, column, chat.pictures) for turn in cell]
    chat.has_system = turns[0][0] == "system"
    turns = turns[1:] if chat.has_system else turns
    roles = [role for role, _ in turns]
    if roles not in (["user"], ["user", "assistant"]):
        raise DataError(
            f"{column}: turns are {', '.join(roles) or 'none'}; a row is one question (human or user) and at most "
            "one response (gpt or assistant)"
        )
    for role, text in turns:
        if not text.strip():
            raise DataError(f"{column}: the {role} turn is empty; write it, or drop the row")
    chat.question = turns[0][1]
    chat.response = turns[1][1] if len(turns) == 2 else None
    own = [turn for turn in cell if isinstance(turn, dict)]
    chat.unused = tuple(dict.fromkeys(name for turn in own for name in unused_fields(turn)))
    if chat.response is not None:
        chat.untaught = untaught(own[-1], chat.response, column)
    return chat


def response_text(cell: Any, column: str) -> tuple[str, str]:
    """A response column, a text or a chat of one assistant turn: its text, and `Chat.untaught`. Raises DataError."""
    turn: dict[str, Any] = {}
    if isinstance(cell, list) and len(cell) == 1 and _is_response_turn(cell[0]):
        turn = cell[0]
        cell = turn.get("content", turn.get("value"))
    if not isinstance(cell, str) or not cell.strip():
        raise DataError(f"{column}: {shortened(cell)} is no response; write it, or drop the row")
    return cell, untaught(turn, cell, column)


def _is_response_turn(turn: Any) -> bool:
    """Whether it is a turn of the model's; one without a role is taken for one."""
    role = (turn.get("role") or turn.get("from")) if isinstance(turn, dict) else "none"
    return role is None or _ROLES.get(str(role)) == "assistant"


def _turns_of_text(text: str) -> list[Any] | None:
    """The turns of a chat that stands as JSON text; None for any other text."""
    stripped = text.strip()
    if not (stripped.startswith("[") and stripped.endswith("]") and "{" in stripped):
        return None
    try:
        value = json_value(stripped)
    except (ValueError, RecursionError):
        return None
    is_chat = isinstance(value, list) and all(
        isinstance(turn, dict) and ("role" in turn or "from" in turn) for turn in value
    )
    return value if is_chat else None


def _turn(turn: Any, column: str, pictures: list[Any]) -> tuple[str, str]:
    """(role, text) of one turn; its pictures are added to `pictures`."""
    is_turn = isinstance(turn, dict)
    role = next((turn[key] for key in ("from", "role") if turn.get(key)), None) if is_turn else None
    lost = other_pictures(turn, ("from", "role", "value", "content")) if is_turn else None
    if lost is not None:
        raise DataError(
            f"{column}: a turn has pictures in {lost[0] + lost[1]!r} ({shortened(turn[lost[0]], 40)}); write them as parts of its "
            "content, or into the column that data.images_column names"
        )
    texts = [turn.get(key) for key in ("value", "content")] if is_turn else []
    if len(texts) == 2 and not any(map(is_empty, texts)) and texts[0] != texts[1]:
        raise DataError(
            f"{column}: {shortened(turn)} has two texts, in `value` and in `content`; leave one"
        )
    found = (
        next((turn[key] for key in ("value", "content") if turn.get(key) is not None), None)
        if is_turn
        else None
    )
    if isinstance(found, list):
        found = _parts_text(found, column, pictures, is_user=role in ("user", "human"))
    if not isinstance(role, str) or role not in _ROLES or not isinstance(found, str):
        raise DataError(
            f"{column}: {shortened(turn)} is no turn; use {{from, value}} or {{role, content}} with one of the roles "
            f"{', '.join(_ROLES)}"
        )
    return _ROLES[role], found


def _parts_text(parts: list[Any], column: str, pictures: list[Any], *, is_user: bool) -> str:
    """The text of a list of content parts, with a mark where a picture stands; the pictures go to `pictures`."""
    texts: list[tuple[bool, str]] = []  # whether it is a picture's mark, text
    for part in parts:
        kept = (
            {key: value for key, value in part.items() if value is not None}
            if isinstance(part, dict)
            else part
        )
        kind = kept.get("type") or next(iter(kept), "") if isinstance(kept, dict) else "text"
        if isinstance(kept, str):
            texts.append((False, kept))
        elif kind in ("text", "input_text", "output_text") and isinstance(kept.get("text"), str):
            texts.append((False, kept["text"]))
        elif kind in _MEDIA_PARTS and is_user:
            texts.append((True, IMAGE_MARK))
            source = {key: value for key, value in kept.items() if key != "type"}
            if source and not all(is_empty(value) for value in source.values()):
                pictures.append(source)
        else:
            raise DataError(
                f"{column}: the part {shortened(part)} can't be read; use text and image parts (images in questions "
                "only; video and audio are not supported)"
            )
    has_marks = any(is_mark for is_mark, _ in texts)
    return "".join(
        escape_marks(text) if has_marks and not is_mark else text for is_mark, text in texts
    )
