"""What goes into a page once, small: texts by gzip, pictures each once in batches, all as base64, which no HTML can be in.

The page's scripts unpack a part when it is opened (`DecompressionStream`), so opening the page reads an index alone.
"""

import base64
import gzip
import io
import json
from typing import Any

from vr1_ray.types import EncodedImage

BATCH = 64  # pictures in one part of the page
# A photograph is shown reduced: a report is to be sent. Figures of a few kilobytes stay as they are.
MAX_PICTURE_BYTES, MAX_PICTURE_SIDE = 48_000, 560


def packed(content: str | bytes, level: int = 6) -> str:
    """A text, compressed, in base64; the same text gives the same."""
    data = content.encode("utf-8", errors="replace") if isinstance(content, str) else content
    return base64.b64encode(gzip.compress(data, level, mtime=0)).decode("ascii")


def packed_json(content: Any) -> str:
    """The same of a JSON value without needless spaces."""
    return packed(json.dumps(content, ensure_ascii=False, separators=(",", ":")))


class Pictures:
    """The pictures of a page, each once by its content hash.

    Example:
        pictures = Pictures()
        pictures.place(image)       # 0; again the same picture: 0
        pictures.batches()          # base64, a picture a line, BATCH of them in a part
    """

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._texts: list[str] = []
        self.num_reduced = 0

    def place(self, image: EncodedImage) -> int:
        """Its number in the page. Raises ValueError, OSError for one that can't be read."""
        if image.content_hash not in self._places:
            data = image.as_shown().data
            if len(data) > MAX_PICTURE_BYTES:
                data = _reduced(image)
                self.num_reduced += 1
            self._places[image.content_hash] = len(self._texts)
            self._texts.append(base64.b64encode(data).decode("ascii"))
        return self._places[image.content_hash]

    def __len__(self) -> int:
        return len(self._texts)

    @property
    def size(self) -> int:
        """Bytes in the page."""
        return sum(len(text) + 1 for text in self._texts)

    def batches(self) -> list[str]:
        """The parts of the page, in order."""
        return [
            "\n".join(self._texts[start : start + BATCH])
            for start in range(0, len(self._texts), BATCH)
        ]


def _reduced(image: EncodedImage) -> bytes:
    picture = image.decode()
    picture.thumbnail((MAX_PICTURE_SIDE, MAX_PICTURE_SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=80)
    return buffer.getvalue()
