"""Images of a dataset: read from bytes or from paths inside the data folder, and checked.

An image is refused if its path leaves the folder, if it can't be decoded, or if its header announces more
pixels than allowed (a decompression bomb: a small file that fills the memory when decoded). What is kept
is the encoded file; the decoded pixels are thrown away at once.
"""

import io
import warnings
from pathlib import Path
from typing import Any

from vr1_ray.types import EncodedImage

IMAGE_MARK = "<image>"
MAX_PROBLEM_ROWS = 5


class DataError(ValueError):
    """A dataset or a row of it can't be used. The message names the field, the value and the cure."""


class RowProblems:
    """Collects what is wrong with the rows of one file, to report several at once.

    Example:
        problems = RowProblems("data.train", "train.parquet")
        problems.add(3, "answer: empty; ...")
        problems.raise_if_any()
    """

    def __init__(self, field: str, source: str) -> None:
        self.field = field
        self.source = source
        self.lines: list[str] = []

    def add(self, row: int, problem: str) -> None:
        self.lines.append(f"row {row}: {problem}")
        if len(self.lines) >= MAX_PROBLEM_ROWS:
            self.raise_if_any()

    def raise_if_any(self) -> None:
        if not self.lines:
            return
        more = " (reading stopped here)" if len(self.lines) >= MAX_PROBLEM_ROWS else ""
        raise DataError(
            f"{self.field}: {self.source} has rows that can't be used, counted from 0{more}:\n  "
            + "\n  ".join(self.lines)
        )


class ImageReader:
    """Reads and checks images, each different one once.

    Example:
        ImageReader(root=Path("data"), max_pixels=64_000_000).read({"bytes": png, "path": None})
        ImageReader(root=Path("data"), max_pixels=64_000_000).read("pictures/1.png")
    """

    def __init__(self, root: Path | None, max_pixels: int) -> None:
        self.root = root
        self.max_pixels = max_pixels
        self._images: dict[str, EncodedImage] = {}

    def read(self, value: Any) -> EncodedImage:
        """The image of one cell: bytes, a path, or a struct of both. Raises DataError."""
        data, path = _bytes_and_path(value)
        if data is None:
            data = read_inside(self.root, path)
        image = EncodedImage.from_bytes(data)
        if image.content_hash not in self._images:
            check_image(data, name=path or "the embedded image", max_pixels=self.max_pixels)
            self._images[image.content_hash] = image
        return self._images[image.content_hash]

    def read_all(self, value: Any) -> tuple[EncodedImage, ...]:
        """The images of a column that holds one image, a list of them, or nothing."""
        if value is None or value == "":
            return ()
        return tuple(self.read(item) for item in (value if isinstance(value, list) else [value]))


def _bytes_and_path(value: Any) -> tuple[bytes | None, str]:
    if isinstance(value, bytes):
        return value, ""
    if isinstance(value, str):
        return None, value
    if isinstance(value, dict) and (value.get("bytes") is not None or value.get("path")):
        return value.get("bytes"), value.get("path") or ""
    raise DataError(f"{value!r:.80} is no image; give a path, or a struct with `bytes` or `path`")


def read_inside(root: Path | None, path: str) -> bytes:
    """The bytes of a file below `root`. Refuses every path that leaves it, through links too."""
    if root is None:
        raise DataError(
            f"{path!r} is a path, but this dataset has no folder; embed the images as bytes"
        )
    target = root / path
    if (
        Path(path).is_absolute()
        or ".." in Path(path).parts
        or not target.resolve().is_relative_to(root.resolve())
    ):
        raise DataError(
            f"{path!r} leaves the data folder {root}; use relative paths inside it, or set data.image_root "
            "to the folder that holds the images"
        )
    if not target.is_file():
        raise DataError(
            f"{path!r} is no file in {root}; put the image there, or set data.image_root (Vision-R1-cold is "
            "published without images: they come from LLaVA-CoT-100k and Mulberry-SFT)"
        )
    try:
        return target.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path!r} in {root} can't be read ({error}); mend its permissions"
        ) from error


def check_image(data: bytes, *, name: str, max_pixels: int) -> None:
    """Refuses a bomb by its header, then decodes the image once to see that it can be."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                width, height = image.size
                if width * height > max_pixels:
                    raise DataError(_bomb(name, f"{width} x {height} pixels", max_pixels))
                image.draft(
                    None, (width // 8, height // 8)
                )  # a JPEG is read whole, but scaled down
                image.load()
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(_bomb(name, str(error), max_pixels)) from error
    except Exception as error:  # decoders raise nearly anything on broken files
        raise DataError(
            f"{name} can't be decoded ({type(error).__name__}: {error!s:.120}); replace the file or drop the row"
        ) from error


def _bomb(name: str, size: str, max_pixels: int) -> str:
    return (
        f"{name} has {size}, over data.max_image_pixels={max_pixels}, and may be a decompression bomb; "
        "shrink the image, or raise data.max_image_pixels if you trust it"
    )


def check_marks(question: str, num_images: int, column: str) -> None:
    """Refuses a question whose `<image>` marks are not as many as its images."""
    num_marks = question.count(IMAGE_MARK)
    if num_marks != num_images:
        raise DataError(
            f"{column}: {num_marks} {IMAGE_MARK} marks for {num_images} images in {question!r:.80}; "
            "write one mark per image, where the image stands"
        )
