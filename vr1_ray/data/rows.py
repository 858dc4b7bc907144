"""The one place where a row becomes a `Prompt`, of prompts, demonstrations and questions alike: one rule.

A row is a question, its pictures, its reference answer where one is needed, its response where one is needed, and
other columns, which go to `Prompt.metadata` so far as JSON can hold them. A picture never gets lost: if a row would
be text alone, but another column than the one that is read holds pictures, it is refused by that column's name.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from vr1_ray.config import DataConfig
from vr1_ray.data.forms import (
    IMAGES,
    Chat,
    Form,
    answer_cell,
    answer_column,
    form_of,
    read_chat,
    response_text,
)
from vr1_ray.data.images import ImageReader
from vr1_ray.data.json_cells import UnreadableRow, is_json, plain
from vr1_ray.data.lost_pictures import check_media, lost_pictures, other_pictures
from vr1_ray.data.marks import check_text, place_marks
from vr1_ray.data.picture_cells import is_empty
from vr1_ray.data.prompt_ids import make_prompt
from vr1_ray.data.references import (
    MAX_RESPONSE_ANSWER,
    final_answer,
    is_readable,
    reference_answer,
    response_answer,
)
from vr1_ray.data.refusals import DataError, shortened
from vr1_ray.data.turn_fields import untaught
from vr1_ray.data.unread import CHOICES, check_all_read, hidden_choices
from vr1_ray.types import EncodedImage, Prompt

_SYSTEM = "rows have a system text, which is not used; set model.system_prompt"
_RESPONSE = "rows have a response, which is not used: the policy writes its own"
_FIELDS = "rows have turns with more than a role and a text, which is not used: "
_NO_MARK = "rows have no <image> mark: their pictures stand before the text"
_UNREADABLE = "reference answers can't be read by the checker, so that no response earns accuracy: "
WARNINGS = (_SYSTEM, _RESPONSE, _FIELDS, CHOICES)  # how notes of what is left unused begin
_LONG = "reference answers have 16 digits or more, and are only right to the last one; round them: "
_WHOLE = "reference answers are whole numbers in a column of floats, so that 3.04 is right for 3.0; make them integers or texts: "


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """What a row must have. `text` is what its question is called when it is missing."""

    needs_answer: bool = False
    needs_response: bool = False
    keeps_columns: bool = False  # the other columns go to the prompt's metadata
    text: str = ""


PROMPTS = Kind(needs_answer=True, keeps_columns=True)
DEMONSTRATIONS = Kind(needs_response=True, text="conversations")
QUESTIONS = Kind(text="question")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadRow:
    """What a row became. `names` are its pictures' if all have one, `own_id` is {"id": ...} if it has one."""

    prompt: Prompt
    response: str = ""
    reference: str = ""  # of a demonstration: the right answer, where its row has one besides
    place: str = ""  # in its source: "row 3"
    names: tuple[str, ...] | None = None
    own_id: dict[str, Any] = field(default_factory=dict)


class RowReader:
    """Reads rows of one source.

    Example:
        reader = RowReader(config, PROMPTS, ImageReader(folder, config.max_image_pixels))
        reader.read({"problem": "<image>How many?", "images": ["a.png"], "answer": 3}).prompt
    """

    def __init__(
        self,
        config: DataConfig,
        kind: Kind,
        images: ImageReader,
        *,
        pictures: str = "",
        max_images: int | None = None,
    ) -> None:
        self.config = config
        self.kind = kind
        self.images = images
        self.pictures = (
            pictures  # a column that the source keeps its pictures in, as imagefolder does
        )
        self.max_images = max_images
        self.notes = images.notes
        self.listed: dict[str, list[str]] = {}  # notes that name what they are about

    def read(self, row: Any) -> ReadRow:
        """One row. Raises DataError with its column, the value and the cure."""
        if isinstance(row, UnreadableRow):
            raise DataError(row.reason)
        if not isinstance(row, dict):
            raise DataError(f"{shortened(row)} is no row; a row is an object of columns")
        form = form_of(row, self.config, wants_response=self.kind.needs_response)
        if form is None:
            raise DataError(self._no_question(row))
        chat = self._chat(row, form)
        column = self._pictures_column(row, form)
        cells = self._picture_cells(row, chat, column, {form.text, form.response})
        pictures = self._read_pictures(cells, "" if cells is chat.pictures else column, form)
        check_all_read(row, chat.question, form.text, column, has_pictures=bool(pictures))
        question, order = place_marks(chat.question, len(pictures), form.text)
        self.notes[_NO_MARK] += bool(pictures) and "<image" not in chat.question.lower()
        answer, used = self._answer(row, chat, form)
        self.notes.update(hidden_choices(row, question, answer))
        where = column if cells is not chat.pictures else form.text
        self._say_form(form, where if cells else "", used)
        metadata = self._metadata(row, {form.text, column, used.partition(".")[0]})
        prompt = make_prompt(question, tuple(pictures[index] for index in order), answer, metadata)
        own_id = {"id": plain(row["id"])} if isinstance(row.get("id"), str | int) else {}
        response = chat.response or ""
        return ReadRow(
            prompt=prompt,
            response=response,
            reference=self._reference(row, form) if self.kind.needs_response else "",
            names=_names(cells),
            own_id=own_id,
        )

    def _no_question(self, row: dict[str, Any]) -> str:
        column = self.kind.text or self.config.prompt_column
        has = ", ".join(map(str, row)) or "no columns"
        cure = (
            "a demonstration has `conversations` or `messages`, or `query` and `response`"
            if self.kind.needs_response
            else "set data.prompt_column to the right one"
        )
        missing = (
            f"missing; the row has {has}"
            if self.kind.needs_response
            else (f"None is no question (no column {column!r}, only {has})")
        )
        return f"{column}: {missing}; {cure}"

    def _chat(self, row: dict[str, Any], form: Form) -> Chat:
        column = form.text
        if self.kind.needs_response and row[column] in (None, [], ""):
            raise DataError(
                f"{column}: missing, {row[column]!r} is no question; write it, or drop the row"
            )
        chat = read_chat(row[column], column)
        if not chat.question.strip():
            raise DataError(
                f"{column}: {shortened(row[column])} is no question; give every row a text"
            )
        if form.response and chat.response is not None and not is_empty(row[form.response]):
            raise DataError(
                f"{form.response}: a response stands here and in the chat of `{column}`; leave it in one place"
            )
        if form.response and chat.response is None:
            chat.response, chat.untaught = response_text(row[form.response], form.response)
        if self.kind.needs_response and not (chat.response or "").strip():
            raise DataError(
                f"{form.response or column}: turns are user; a demonstration is one question (human or user) and "
                "one response (gpt or assistant)"
            )
        if self.kind.needs_response:
            problem = chat.untaught or untaught(row, chat.response or "")
            if problem:
                raise DataError(problem)
        check_text(chat.question, column)
        check_text(chat.response or "", form.response or column)
        if chat.unused:
            self.notes[_FIELDS + ", ".join(chat.unused)] += 1
        self.notes[_SYSTEM] += chat.has_system or not is_empty(row.get("system"))
        return chat

    def _pictures_column(self, row: dict[str, Any], form: Form) -> str:
        """The column that pictures are read from: the configured one, or in files that lack it the form's own."""
        wanted = self.config.images_column
        if wanted in row or wanted != IMAGES:
            return wanted
        known = (*form.pictures, self.pictures)
        return next((name for name in known if name and name in row), wanted)

    def _picture_cells(
        self, row: dict[str, Any], chat: Chat, column: str, texts: set[str]
    ) -> list[Any]:
        cells = self.images.cells(row.get(column)) if column else []
        if chat.pictures and cells:
            raise DataError(
                f"{column}: pictures stand here and in the chat's content; leave them in one place"
            )
        cells = cells or chat.pictures
        check_media(row, column)
        read = {column, *texts, answer_column(row, self.config)}
        other = None if cells or not column else other_pictures(row, read)
        if other is not None:
            raise DataError(lost_pictures(row, column, *other))
        return cells

    def _read_pictures(self, cells: list[Any], column: str, form: Form) -> tuple[EncodedImage, ...]:
        if self.max_images is not None and len(cells) > self.max_images:
            raise DataError(
                f"{column or form.text}: {len(cells)} images, over model.max_images={self.max_images}; raise the limit, "
                "or drop the row"
            )
        try:
            return tuple(self.images.read(cell, column, index) for index, cell in enumerate(cells))
        except DataError as error:
            raise DataError(f"{column or form.text}: {error}") from error

    def _answer(self, row: dict[str, Any], chat: Chat, form: Form) -> tuple[str, str]:
        """The reference answer and the column it came from; of a demonstration, what its response answers."""
        if self.kind.needs_response:
            return final_answer(chat.response or "") or "", ""
        column = answer_column(row, self.config)
        if column is None and chat.response is not None and self.kind.needs_answer:
            column = form.response or form.text
            answer = response_answer(chat.response, column)
        else:
            answer = reference_answer(answer_cell(row, column), column) if column else ""
            self.notes[_RESPONSE] += chat.response is not None
        if self.kind.needs_answer and not answer.strip():
            raise DataError(self._no_answer(row, column))
        self._note_answer(row, column or "", answer)
        return answer.strip(), column or ""

    def _reference(self, row: dict[str, Any], form: Form) -> str:
        """The right answer of a demonstration's row; "" if it has none that the checker reads."""
        column = answer_column(row, self.config)
        if column is None or column in (form.text, form.response):
            return ""
        try:
            answer = reference_answer(answer_cell(row, column), column).strip()
        except DataError:  # a demonstration needs no reference
            return ""
        return answer if len(answer) <= MAX_RESPONSE_ANSWER and is_readable(answer) else ""

    def _no_answer(self, row: dict[str, Any], column: str | None) -> str:
        if column is None:
            name = self.config.answer_column
            return (
                f"{name}: None is no reference answer (no column {name!r}, only {', '.join(map(str, row))}); "
                "set data.answer_column to the right one"
            )
        return (
            f"{column}: {shortened(answer_cell(row, column))} is no reference answer; give every row one, or drop "
            "the row"
        )

    def _note_answer(self, row: dict[str, Any], column: str, answer: str) -> None:
        if not answer:
            return
        if not is_readable(answer):
            self.listed.setdefault(_UNREADABLE, []).append(answer)
        elif re.fullmatch(r"-?\d+\.\d+", answer) and sum(map(str.isdigit, answer)) >= 16:
            self.listed.setdefault(_LONG, []).append(answer)
        elif re.fullmatch(r"-?\d+\.0", answer) and _is_float(answer_cell(row, column)):
            self.listed.setdefault(_WHOLE, []).append(answer)

    def _metadata(self, row: dict[str, Any], used: set[str]) -> dict[str, Any]:
        if not self.kind.keeps_columns:
            return {}
        return {
            key: plain(value) for key, value in row.items() if key not in used and is_json(value)
        }

    def _say_form(self, form: Form, column: str, answers: str) -> None:
        if (
            form.name
            or column not in ("", self.config.images_column)
            or answers not in ("", self.config.answer_column)
        ):
            parts = [f"read as {form.name}"] if form.name else ["read"]
            parts += [f"pictures from `{column}`"] * bool(column)
            parts += [f"answers from `{answers}`"] * bool(answers)
            self.notes[f"rows {', '.join(parts)}"] += 1


def _is_float(cell: Any) -> bool:
    return isinstance(cell.get("ground_truth") if isinstance(cell, dict) else cell, float)


def _names(cells: list[Any]) -> tuple[str, ...] | None:
    """The pictures' paths; None if one is embedded."""
    is_named = all(isinstance(cell, str) and len(cell) < 1024 for cell in cells)
    return tuple(cells) if is_named else None
