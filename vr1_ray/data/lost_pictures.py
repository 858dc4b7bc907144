"""Pictures that would not arrive: columns beside the one that is read which hold some, so that no policy is asked blind."""

import json
import re
from collections.abc import Collection
from typing import Any

from vr1_ray.data.json_cells import MAX_DEPTH
from vr1_ray.data.picture_cells import INNER, is_empty
from vr1_ray.data.refusals import DataError, shortened

MAX_TEXT = 1 << 20  # of JSON in a cell

_NAMES = re.compile(
    r"(?!(?:has|num|is|no|n)_)(?:.*_)?(?:images?|imgs?|pictures?|photos?)(?:[_ .-]?(?:paths?|files?|urls?|bytes|base64|b64|\d+))*",
    re.IGNORECASE,
)
_PATH = re.compile(
    r"\S[^\n]{0,400}\.(?:png|jpe?g|jfif|jp2|webp|bmp|gif|tiff?|avif|heic|heif|svg)(?:\?[^\s=]+=\S*)?\s*",
    re.IGNORECASE,
)
_ENCODED = re.compile(
    r"(?:iVBORw0KGgo|/9j/|R0lGOD|UklGR|SUkqA)[A-Za-z0-9+/\r\n]{54}"
)  # PNG, JPEG, GIF, WEBP, TIFF
_OTHER_MEDIA = re.compile(r"(?:videos?|audios?)(?:_?(?:paths?|files?|urls?|bytes))?", re.IGNORECASE)
_PARTS = ("image", "image_url", "input_image")


def other_pictures(row: dict[str, Any], read: Collection[str | None]) -> tuple[str, str] | None:
    """A column beside those that are read which holds pictures, by its name or by what stands in it at any depth.

    With it where in the cell they stand: "" if the cell is the picture, or a list of them, else as ".images[0]".
    """
    for name, value in row.items():
        if name in read or is_empty(value):
            continue
        inside = _picture_in(value)
        if inside is not None or _is_named_as_pictures(name, value):
            return name, inside or ""
    return None


def lost_pictures(row: dict[str, Any], column: str, other: str, inside: str) -> str:
    """The message for a row without a picture whose column `other` holds some, with what to do."""
    shown = shortened(row[other], 40)
    if inside:
        return (
            f"{other}: {other}{inside} holds pictures ({shown}), but none are read from inside a column; write all "
            f'pictures into a column {column!r} of their own, or set data.images_column="" for text alone'
        )
    state = "is empty in this row" if column in row else "this row lacks"
    return (
        f"{other}: column {other!r} holds pictures ({shown}), but data.images_column is "
        f"{column!r}, which {state}; set data.images_column={other}, write all "
        'pictures into one column, or set data.images_column="" for text alone'
    )


def check_media(row: dict[str, Any], column: str) -> None:
    """Refuses a row with video or audio. Raises DataError."""
    for name, value in row.items():
        if _OTHER_MEDIA.fullmatch(str(name)) and name != column and not is_empty(value):
            raise DataError(
                f"{name}: {shortened(value)} is no picture, and video and audio are not supported; drop the "
                "row, or give pictures of it"
            )


def _is_named_as_pictures(name: Any, value: Any) -> bool:
    is_count = isinstance(value, bool | int | float)  # num_images, has_image
    return isinstance(name, str) and not is_count and _NAMES.fullmatch(name) is not None


def _picture_in(value: Any, depth: int = 0) -> str | None:
    """Where in a cell a picture stands, "" if the cell is one as it is read from a column; None for none."""
    if depth > MAX_DEPTH:
        return None
    if isinstance(value, list):
        return _picture_in_list(value, depth + 1)
    if isinstance(value, dict):
        return _picture_in_struct(value, depth + 1)
    if isinstance(value, str):
        is_picture = (
            value.startswith("data:image/")
            or _PATH.fullmatch(value) is not None
            or _ENCODED.match(value) is not None
        )
        if not is_picture and value.startswith(("[", "{")):
            return _picture_in(_listed(value), depth + 1)
        return "" if is_picture else None
    return "" if isinstance(value, bytes) else None


def _picture_in_list(value: list[Any], depth: int) -> str | None:
    places = [(f"[{place}]", item) for place, item in enumerate(value) if not is_empty(item)]
    found = [(place, item, _picture_in(item, depth)) for place, item in places]
    if found and all(inside == "" for _, _, inside in found):
        return ""
    # a path among other texts is a text, such as a choice
    lost = (f"{at}{inside}" for at, item, inside in found if inside is not None and not isinstance(item, str))  # fmt: skip
    return next(lost, None)


def _picture_in_struct(value: dict[str, Any], depth: int) -> str | None:
    if value.get("type") in _PARTS or not is_empty(value.get("bytes")):
        return ""
    if any(_picture_in(value.get(key), depth) == "" for key in INNER):
        return ""
    for name, item in value.items():
        inside = None if is_empty(item) else _picture_in(item, depth)
        if inside is not None or (not is_empty(item) and _is_named_as_pictures(name, item)):
            return f".{name}{inside or ''}"
    return None


def _listed(text: str) -> Any:
    """A list or a struct that stands as JSON text; None for any other text."""
    try:
        return json.loads(text) if len(text) < MAX_TEXT else None
    except (ValueError, RecursionError):
        return None
