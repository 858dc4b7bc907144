"""What a row holds of its question that the policy would never see: earlier turns, a second picture column, choices.

What is lost for certain is refused; what may be no matter is named in the log.
"""

import re
from typing import Any

from vr1_ray.data.lost_pictures import other_pictures
from vr1_ray.data.picture_cells import is_empty
from vr1_ray.data.refusals import DataError, shortened

_HISTORY = ("history", "histories", "previous_turns")
_CHOICES = ("options", "choices", "option_list", "candidates")
CHOICES = "rows have choices that their question does not show, in "
_LETTER = re.compile(r"\(?[A-Ja-j]\)?\.?")
# A picture that is shown by a text alone: HTML, Markdown with the name of one, the marks of other families.
_SHOWN = re.compile(
    r"<img\s[^>]*src\s*=|!\[[^\]\n]*\]\([^)\n]*\.(?:png|jpe?g|webp|gif|bmp|svg)[^)\n]*\)|!\[[^\]\n]*\]\(data:image/"
    r"|<\|image_?\d*\|>",
    re.IGNORECASE,
)


def check_all_read(
    row: dict[str, Any], question: str, column: str, pictures: str, *, has_pictures: bool
) -> None:
    """Raise DataError for a row whose question has more to it than is read.

    `column` is where the question stands, `pictures` where its pictures do, "" if they are to be left out.
    """
    for name in _HISTORY:
        if not is_empty(row.get(name)) and name != column:
            raise DataError(
                f"{name}: {shortened(row[name], 40)} are earlier turns, and a question is one; write them into the "
                "question, or drop the column"
            )
    shown = _SHOWN.search(question) if pictures and not has_pictures else None
    if shown is not None:
        raise DataError(
            f"{column}: {shortened(shown[0])} shows a picture by its text alone, which isn't read; give the picture in "
            f"{pictures!r} with an <image> mark here, or take the text out"
        )
    if has_pictures and pictures:
        _check_siblings(row, pictures)


def _check_siblings(row: dict[str, Any], pictures: str) -> None:
    """Refuses `image_2` beside `image` or `image_1`: other pictures of the same question."""
    stem = _stem(pictures)
    for name in row:
        is_sibling = name != pictures and isinstance(name, str) and _stem(name) == stem
        if is_sibling and re.search(r"\d$", name) and other_pictures({name: row[name]}, ()):
            raise DataError(
                f"{name}: pictures stand here and in {pictures!r}, and one column is read; write them all into "
                f"{pictures!r}, as a list in their order"
            )


def _stem(name: str) -> str:
    return re.sub(r"[_ -]?\d+$", "", name.lower()).removesuffix("s")


def hidden_choices(row: dict[str, Any], question: str, answer: str) -> list[str]:
    """A note for the log if the answer is the letter of one of the choices in a column, and the question shows none."""
    if not _LETTER.fullmatch(answer.strip()):
        return []
    for name in _CHOICES:
        cell = row.get(name)
        items = list(cell.values()) if isinstance(cell, dict) else cell
        if not isinstance(items, list) or is_empty(items):
            continue
        if not any(str(item).strip() in question for item in items if not is_empty(item)):
            return [f"{CHOICES}`{name}`, which no policy sees then; write them into the question"]
    return []
