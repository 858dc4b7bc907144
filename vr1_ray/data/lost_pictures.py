"""Pictures that would not arrive: columns beside the one that is read which hold some, so that no policy is asked blind."""

import json
import re
from collections.abc import Collection
from typing import Any

from vr1_ray.data.picture_cells import INNER, is_empty

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
_PARTS = ("image", "image_url", "input_image")


def other_pictures(row: dict[str, Any], read: Collection[str | None]) -> str | None:
    """A column beside those that are read which holds pictures, by its name or by what stands in it."""
    return next(
        (
            name
            for name, value in row.items()
            if name not in read
            and not is_empty(value)
            and (_is_named_as_pictures(name, value) or _is_picture(value))
        ),
        None,
    )


def _is_named_as_pictures(name: Any, value: Any) -> bool:
    is_count = isinstance(value, bool | int | float)  # num_images, has_image
    return isinstance(name, str) and not is_count and _NAMES.fullmatch(name) is not None


def _is_picture(value: Any) -> bool:
    if isinstance(value, list):
        items = [item for item in value if not is_empty(item)]
        return bool(items) and all(map(_is_picture, items))
    if isinstance(value, dict):
        return (
            value.get("type") in _PARTS
            or not is_empty(value.get("bytes"))
            or any(_is_picture(value.get(key)) for key in INNER)
        )
    if isinstance(value, str):
        return (
            value.startswith("data:image/")
            or _PATH.fullmatch(value) is not None
            or _ENCODED.match(value) is not None
            or (value.startswith(("[", "{")) and _is_picture(_listed(value)))
        )
    return isinstance(value, bytes)


def _listed(text: str) -> Any:
    """A list or a struct that stands as JSON text; None for any other text."""
    try:
        return json.loads(text) if len(text) < 4096 else None
    except (ValueError, RecursionError):
        return None
