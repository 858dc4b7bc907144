"""Pictures that would not arrive: columns beside the one that is read which hold some, so that no policy is asked blind."""

import re
from collections.abc import Collection
from typing import Any

from vr1_ray.data.picture_cells import is_empty

_NAMES = re.compile(
    r"(?!(?:has|num|is|no|n)_)(?:.*_)?(?:images?|imgs?|pictures?|photos?)(?:_?(?:paths?|files?|urls?|bytes|\d+))*",
    re.IGNORECASE,
)
_PATH = re.compile(r"\S[^\n]{0,400}\.(?:png|jpe?g|webp|bmp|gif|tiff?|avif)\s*", re.IGNORECASE)


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
        return bool(value) and all(map(_is_picture, value))
    if isinstance(value, dict):
        return not is_empty(value.get("bytes")) or _is_picture(value.get("path"))
    if isinstance(value, str):
        return value.startswith("data:image/") or _PATH.fullmatch(value) is not None
    return isinstance(value, bytes)
