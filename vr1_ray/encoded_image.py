"""One image of a prompt: the bytes of its file, or where they stand, so that 200,000 pictures travel as 200,000 lines.

Readers of data make references (`data/stored.py`); each is read where it is used, and compared with what was checked.
"""

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from vr1_ray.pictures import MAX_PIXELS, PictureError, open_picture, picture_size, shown_file

if TYPE_CHECKING:
    from PIL import Image


class StoredBytes(Protocol):
    """Where the bytes of a picture's file stand (`data/stored.py`). It travels in their place."""

    @property
    def where(self) -> str:
        """The row that shows it, for messages."""
        ...

    def read(self) -> bytes:
        """The bytes as they are now. Raises ValueError naming the row if they are not there."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedImage:
    """One image: the file (PNG, JPEG, ...) that has this content hash, held here or read where it is used.

    Example:
        EncodedImage.from_bytes(pathlib.Path("figure.png").read_bytes())
        EncodedImage(content_hash="9f0c...", source=StoredFile(path="/data/figure.png", where="row 3"))
    """

    content_hash: str
    held: bytes = field(default=b"", repr=False, compare=False)
    source: StoredBytes | None = field(default=None, compare=False)  # None: `held` is all there is
    size: tuple[int, int] | None = field(default=None, compare=False)  # width, height as shown

    @classmethod
    def from_bytes(cls, data: bytes) -> "EncodedImage":
        return cls(content_hash=content_hash(data), held=data)

    @property
    def data(self) -> bytes:
        """The bytes of the file; a reference reads them at each call. Raises ValueError for other content."""
        if self.source is None:
            return self.held
        data = self.source.read()
        if content_hash(data) != self.content_hash:
            raise ValueError(
                f"{self.source.where}: {self.source} is not the picture that was checked (hash {content_hash(data)}, "
                f"not {self.content_hash}); put that one back, or start a new run, which checks it again"
            )
        return data

    def held_here(self) -> "EncodedImage":
        """The same with its bytes, for a node that does not see the file. Raises ValueError."""
        return self if self.source is None else replace(self, held=self.data, source=None)

    def named(self) -> "EncodedImage":
        """Its hash and size alone."""
        return replace(self, held=b"", source=None)

    def decode(self, max_pixels: int | None = MAX_PIXELS) -> "Image.Image":
        """The picture that every part sees, RGB (`vr1_ray/pictures.py`). Raises ValueError for one that can't be.

        `max_pixels` None is for a picture that was checked when it was read.
        """
        data = self.data
        try:
            return open_picture(data, max_pixels)
        except PictureError as error:
            raise ValueError(f"image {self.content_hash} {error}") from error

    def shown_size(self) -> tuple[int, int]:
        """(width, height) of that picture, from what was checked or the file's header. Raises ValueError."""
        return self.size or picture_size(self.data)

    def as_shown(self) -> "EncodedImage":
        """The same picture, held, in a file that every viewer shows like `decode`: this one, or a PNG."""
        whole = self.held_here()
        data = shown_file(whole.held)
        return whole if data is whole.held else EncodedImage.from_bytes(data)


def content_hash(data: bytes) -> str:
    """What a picture's file is known by: 32 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(data).hexdigest()[:32]
