"""Images of a dataset: a cell becomes a checked `EncodedImage`, which holds its bytes or says where they stand.

An image is refused if it can't be decoded, or if its header announces more pixels than allowed (a decompression
bomb: a small file that fills the memory when decoded). Pixels are thrown away at once. By reference the bytes are
too: a path stays a path, a cell of a parquet or arrow file its place, and what was written into a text (base64, a
data URI) or came in a stream is unpacked into `unpack`, once.
"""

import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from vr1_ray.data.picture_cells import IMAGE_ROOT, PictureCells, read_file
from vr1_ray.data.refusals import DataError
from vr1_ray.data.stored import StoredCell, StoredFile, put_in_place, stamp_of
from vr1_ray.encoded_image import content_hash
from vr1_ray.pictures import PictureError, TooManyPixelsError, check_picture
from vr1_ray.types import EncodedImage

MAX_ASPECT_RATIO = 200  # the processors of the Qwen-VL families take no longer strip
PICTURES = "pictures"  # in data.index_folder: what was unpacked
ANIMATED = "pictures are animated: their first frame is used"
HELD = "pictures from texts are held in memory, for data.index_folder can't be written ({})"


class PictureFacts(NamedTuple):
    """What was found of a picture when it was checked; of a file, with the stamp it had."""

    content_hash: str
    size: tuple[int, int]  # width, height as shown
    is_animated: bool
    stamp: tuple[int, int] = (0, 0)


class ImageReader(PictureCells):
    """Reads and checks images, each file once. `notes` counts what is worth a line in the log.

    Example:
        ImageReader(root=Path("data"), max_pixels=64_000_000).read({"bytes": png, "path": None})
        ImageReader(root=Path("data"), max_pixels=64_000_000, by_reference=True).read("pictures/1.png")
    """

    def __init__(
        self,
        root: Path | None,
        max_pixels: int,
        *,
        by_reference: bool = False,
        unpack: Path | None = None,
        known: dict[str, PictureFacts] | None = None,
        setting: str = IMAGE_ROOT,
    ) -> None:
        super().__init__(root, setting)
        self.max_pixels = max_pixels
        self.by_reference = by_reference
        self.unpack = unpack  # None: what has no place of its own is held
        self.known = {} if known is None else known  # by path
        self.notes: Counter[str] = Counter()
        self.where = ""  # the row that is read, for messages of later
        self.place: tuple[str, int] | None = None  # the file and number it can be read again by
        self._checked: dict[str, PictureFacts] = {}  # by content hash
        self._held: dict[str, EncodedImage] = {}

    def read(self, value: Any, column: str = "", index: int = 0) -> EncodedImage:
        """The image of one cell, the `index`th of `column` if it is one of a column. Raises DataError."""
        found, name = self.file(value)
        if isinstance(found, Path):
            return self.of_file(found, name)
        facts = self._facts(found, name)
        if self.by_reference and self.place is not None and column:
            path, row = self.place
            cell = StoredCell(path=path, row=row, column=column, index=index, where=self.where)
            return EncodedImage(content_hash=facts.content_hash, source=cell, size=facts.size)
        if self.by_reference and self.unpack is not None:
            try:
                file = StoredFile(path=_unpacked(self.unpack, facts, found), where=self.where)
                return EncodedImage(content_hash=facts.content_hash, source=file, size=facts.size)
            except OSError as error:
                self.notes[HELD.format(error.strerror)] += 1
        return self._hold(found, facts)

    def read_all(self, value: Any) -> tuple[EncodedImage, ...]:
        """The images of a column that holds one image, several, or nothing. Raises DataError."""
        return tuple(self.read(item) for item in self.cells(value))

    def of_file(self, file: Path, name: str) -> EncodedImage:
        """The image of a file, wherever it is. Raises DataError."""
        if not self.by_reference:
            data = read_file(file, name)
            return self._hold(data, self._facts(data, name))
        path = os.path.abspath(file)
        facts = self.known.get(path)
        stamp = stamp_of(path)
        if facts is None or facts.stamp != stamp:
            facts = self._facts(read_file(file, name), name)._replace(stamp=stamp)
            self.known[path] = facts
        else:
            self.notes[ANIMATED] += facts.is_animated
        source = StoredFile(path=path, where=self.where)
        return EncodedImage(content_hash=facts.content_hash, source=source, size=facts.size)

    def _facts(self, data: bytes, name: str) -> PictureFacts:
        found = content_hash(data)
        if found not in self._checked:
            size, is_animated = check_image(data, name=name, max_pixels=self.max_pixels)
            self._checked[found] = PictureFacts(found, size, is_animated)
        self.notes[ANIMATED] += self._checked[found].is_animated
        return self._checked[found]

    def _hold(self, data: bytes, facts: PictureFacts) -> EncodedImage:
        image = EncodedImage(content_hash=facts.content_hash, held=data, size=facts.size)
        return self._held.setdefault(facts.content_hash, image)


def _unpacked(folder: Path, facts: PictureFacts, data: bytes) -> str:
    """The path of a file with these bytes, written if it is not there yet."""
    path = folder.absolute() / facts.content_hash[:2] / facts.content_hash
    if stamp_of(str(path))[0] != len(data):
        put_in_place(path, data)
    return str(path)


def check_image(data: bytes, *, name: str, max_pixels: int) -> tuple[tuple[int, int], bool]:
    """(width, height) as shown, and whether it is animated. Refuses a bomb by its header, then decodes it once.

    Raises DataError.
    """
    try:
        (width, height), is_animated = check_picture(data, max_pixels)
    except TooManyPixelsError as error:
        raise DataError(
            f"{name} has {error.size}, over data.max_image_pixels={max_pixels}, and may be a decompression bomb; "
            "shrink the image, or raise data.max_image_pixels if you trust it"
        ) from error
    except PictureError as error:
        raise DataError(f"{name} {error}, or drop the row") from error
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        raise DataError(
            f"{name} has {width} x {height} pixels: its sides differ more than {MAX_ASPECT_RATIO} times, which no "
            "model's processor takes; cut it, put it on a page, or drop the row"
        )
    return (width, height), is_animated
