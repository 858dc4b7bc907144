"""What a picture is: its mark in a text, and the one function that turns the bytes of a file into it.

Every part of a run sees `open_picture(data)`, as any viewer shows the file: turned by its EXIF orientation, in
RGB, 16-bit and float values scaled to 8 bits, what is transparent on white, the first frame of an animation.
Engine and trainer get it through the model adapter, rewards through `RewardInput.images()`, a judge, a report and
a service through `shown_file`. The lowest floor: nothing of vr1_ray is imported here.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

IMAGE_MARK = "<image>"
MAX_PIXELS = 64_000_000

# A mark is text after exactly one backslash: `\<image>`. Two are LaTeX's line break before a mark.
_MARK = re.compile(r"(?:(?<!\\)|(?<=\\\\))<image>")
# Formats that Pillow decodes by itself; others start programs (EPS) or have no signature to know them by.
_FORMATS = (
    "PNG", "JPEG", "MPO", "GIF", "WEBP", "BMP", "DIB", "TIFF", "PPM", "ICO", "JPEG2000", "AVIF", "PSD", "PCX", "SGI",
    "QOI", "DDS",
)  # fmt: skip
_SHOWN_BY_ALL = ("PNG", "JPEG", "WEBP", "GIF")  # browsers and judges take these
_ANIMATED = ("GIF", "WEBP", "PNG", "TIFF", "AVIF")

# What else is found under a picture's name: a pattern for its first bytes, and what to call it.
_OTHER_FILES = (
    (rb"\s*\Z", "empty; copy or download it again"),
    (rb"\x00+\Z", "filled with zeros; copy or download it again"),
    (rb"(?is)\s*(<!doctype html|<html|<head|<body)", "an HTML page, as a failed download leaves it; download it again"),
    (rb"version https://git-lfs", "a git-lfs pointer, not the file itself; run `git lfs pull` in its folder"),
    (rb"/annex/objects|\S*\.git/annex/objects", "a git-annex pointer, not the file itself; run `git annex get`"),
    (rb"(?is)\s*(<\?xml.*)?(<!--.*-->\s*|<!doctype svg.*)?<svg", "an SVG drawing; convert it to PNG"),
    (rb"(?is)\s*<\?xml", "XML text, as a server's error leaves it; download it again"),
    (rb"%PDF", "a PDF; convert its page to PNG"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript; convert it to PNG"),
    (rb"(?s)....ftyp(heic|heix|heif|hevc|mif1|msf1)", "an HEIC picture; convert it to JPEG or PNG"),
    (rb"(?s)....ftyp|\x1aE\xdf\xa3|RIFF....AVI ", "a video, which isn't supported; take pictures of it"),
    (rb"(?s).{128}DICM", "a DICOM file; convert it to PNG"),
    (rb"PK\x03\x04", "a zip archive; unpack it"),
    (rb"\x1f\x8b", "a gzip file; unpack it"),
    (rb"\s*[{\[]\s*[\"{\[]", "JSON text, as a server's error leaves it; download it again"),
)  # fmt: skip


class PictureError(ValueError):
    """A file is no picture that can be shown. The message goes on from the picture's name."""


class TooManyPixelsError(PictureError):
    """More pixels than allowed; `size` says how many, in words."""

    def __init__(self, size: str, limit: int) -> None:
        super().__init__(
            f"has {size}, over max_pixels={limit}; shrink it, or pass a higher max_pixels if you trust it"
        )
        self.size = size


def split_at_marks(question: str) -> list[str]:
    r"""The texts between the pictures, one more than there are `<image>` marks; `\<image>` in them is a text.

    Example:
        split_at_marks(r"Look: <image> what does \<image> mean?")  # ["Look: ", " what does <image> mean?"]
    """
    return [part.replace("\\" + IMAGE_MARK, IMAGE_MARK) for part in _MARK.split(question)]


def escape_marks(text: str) -> str:
    r"""The text with `\` before each `<image>`, so that it stays a text."""
    return _MARK.sub("\\\\" + IMAGE_MARK, text)


def open_picture(
    data: bytes, max_pixels: int | None = MAX_PIXELS, least_side: int = 0
) -> "Image.Image":
    """The picture of a file, in RGB. Raises PictureError.

    `max_pixels` None is for pictures that were checked. With `least_side` a JPEG may come smaller, but with both sides at least so long: a quick look.
    """
    with _opened(data, max_pixels) as image:
        if least_side:
            image.draft("RGB", (least_side, least_side))
        image.load()
        return _upright(_in_rgb(image, data), orientation=_orientation(image, data))


def picture_size(data: bytes) -> tuple[int, int]:
    """(width, height) as shown, from the file's header: pixels are not touched. Raises PictureError."""
    with _opened(data, None) as image:
        width, height = image.size
        return (height, width) if _orientation(image, data) >= 5 else (width, height)


def check_picture(data: bytes, max_pixels: int) -> tuple[tuple[int, int], bool]:
    """(width, height) as shown, and whether it is animated. Refuses a bomb by its header; decodes the file once.

    Raises PictureError.
    """
    with _opened(data, max_pixels) as image:
        width, height = image.size
        orientation = _orientation(image, data)
        is_animated = image.format in _ANIMATED and bool(getattr(image, "is_animated", False))
        image.draft(None, (width // 8, height // 8))  # a JPEG is read whole, but scaled down
        image.load()
        is_wide = image.mode[0] in "IF" or _wide_transparency(image, data) is not None
        if is_wide:  # only its values tell whether it can be shown
            _in_rgb(image, data)
    return ((height, width) if orientation >= 5 else (width, height)), is_animated


def shown_file(data: bytes) -> bytes:
    """A file that every viewer shows as `open_picture` does: this one, or a PNG of the picture."""
    with _opened(data, None) as image:
        is_plain = (
            image.format in _SHOWN_BY_ALL
            and image.mode in ("RGB", "L", "1", "P")
            and "transparency" not in image.info
            and _orientation(image, data) == 1
            and not getattr(image, "is_animated", False)
        )
    if is_plain:
        return data
    buffer = io.BytesIO()
    open_picture(data).save(buffer, format="PNG")
    return buffer.getvalue()


def picture_type(data: bytes) -> str:
    """The media type of a picture's file, as "image/png". Raises PictureError."""
    with _opened(data, None) as image:
        from PIL import Image

        return Image.MIME.get(image.format or "", "image/png")


def what_is(data: bytes) -> str:
    """What a file is that is no picture, with the cure; "" if that is unknown."""
    start = data[:2048] if data.strip(b"\x00") else data[:1] * bool(data)
    return next((name for pattern, name in _OTHER_FILES if re.match(pattern, start)), "")


@contextmanager
def _opened(data: bytes, max_pixels: int | None) -> Iterator["Image.Image"]:
    """The opened file, its pixels not read yet. What goes wrong with it inside becomes PictureError."""
    from PIL import Image

    Image.init()  # once: knows all formats
    formats = [name for name in _FORMATS if name in Image.OPEN]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # bombs are refused here; broken metadata is no matter
            with Image.open(io.BytesIO(data), formats=formats) as image:
                width, height = image.size
                if max_pixels is not None and width * height > max_pixels:
                    raise TooManyPixelsError(f"{width} x {height} pixels", max_pixels)
                yield image
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise TooManyPixelsError(str(error), max_pixels or MAX_PIXELS) from error
    except Exception as error:  # decoders raise nearly anything on broken files
        known = what_is(data)
        if not known and isinstance(error, Image.UnidentifiedImageError):
            known = f"no picture of a known format (it begins with {data[:12]!r}); replace the file"
        cause = f" ({type(error).__name__}: {error!s:.120}); replace the file"
        raise PictureError(
            f"can't be decoded: it is {known}" if known else f"can't be decoded{cause}"
        ) from error


def _orientation(image: "Image.Image", data: bytes) -> int:
    """How the file says it is to be turned, 1 to 8 as EXIF counts. Pillow turns TIFF itself."""
    if image.format == "TIFF":
        return 1
    if image.format == "PNG" and not re.search(rb"eXIf|exif|adobe\.xmp", data):
        return 1  # without this, Pillow reads all pixels to look behind them
    try:
        found = image.getexif().get(0x0112, 1)
    except Exception:  # broken EXIF says nothing, as in viewers
        return 1
    return found if found in range(1, 9) else 1


def _upright(image: "Image.Image", orientation: int) -> "Image.Image":
    from PIL import Image

    turn = Image.Transpose
    method = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_270,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_90,
    }.get(orientation)
    return image if method is None else image.transpose(method)


def _wide_transparency(image: "Image.Image", data: bytes) -> Any:
    """The transparent colour of a PNG with 16 bits a channel, of which Pillow keeps 8; None if there is none."""
    is_wide = image.format == "PNG" and image.mode == "RGB" and data[24:25] == b"\x10"
    return image.info.get("transparency") if is_wide else None


def _check_wide_transparency(image: "Image.Image", colour: Any) -> None:
    """Refuses a picture whose transparent pixels can't be told from others alike in their first 8 bits."""
    import numpy as np

    kept = np.array([value >> 8 for value in colour], np.uint8)
    if (np.asarray(image) == kept).all(axis=-1).any():
        raise PictureError(
            f"has 16 bits a channel and a transparent colour {tuple(colour)}, whose pixels can't be told from others "
            "nearly alike; save it with 8 bits, or with an alpha channel"
        )


def _in_rgb(image: "Image.Image", data: bytes) -> "Image.Image":
    """RGB, 8 bits; what is transparent becomes white, as on a page."""
    from PIL import Image

    wide = _wide_transparency(image, data)
    if wide is not None:
        _check_wide_transparency(image, wide)
        return image.copy()

    if image.mode == "F" or image.mode.startswith("I"):
        return _in_8_bits(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layered = image.convert("RGBA")
        page = Image.new("RGBA", layered.size, (255, 255, 255, 255))
        return Image.alpha_composite(page, layered).convert("RGB")
    return image.convert("RGB")


def _in_8_bits(image: "Image.Image") -> "Image.Image":
    """Grey of 16 bits or of floats from 0 to 1, scaled; PictureError where nobody knows what white is."""
    import numpy as np
    from PIL import Image

    values: Any = np.asarray(image)
    if image.mode == "F":
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise PictureError(
                f"has float values from {values.min():g} to {values.max():g}, which nothing says how to show; "
                "scale them to 0..1, or save it with 8 bits"
            )
        return Image.fromarray(np.rint(values * 255).astype(np.uint8))
    if image.mode == "I" and image.format != "PPM":  # Pillow scales PPM to 16 bits
        raise PictureError(
            f"has 32-bit values from {values.min()} to {values.max()}, which nothing says how to show; save it "
            "with 8 or 16 bits"
        )
    values = values.astype(np.int64)
    see_through = image.info.get("transparency")
    if isinstance(see_through, int):
        values = np.where(values == see_through, 65535, values)
    if image.format == "TIFF" and getattr(image, "tag_v2", {}).get(262) == 0:  # 0 is white
        values = 65535 - values
    return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
