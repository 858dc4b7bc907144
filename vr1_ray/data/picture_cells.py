"""What stands in a picture's cell: the bytes of a file, or the path of one, in any of the forms people have.

    b"...", {"bytes": b"...", "path": ...}          the file itself; base64 text in `bytes` is decoded
    "data:image/png;base64,...", a long base64 text  decoded
    "a.png", {"path": "a.png"}, "file:///data/a.png" a path below the data file's folder, or `data.image_root`
    {"type": "image_url", "image_url": {"url": ...}} and kin: what stands inside, by the same rules
    ["a.png", "b.png"], '["a.png", "b.png"]', "a.png,b.png"   several

A path may not leave the folder, through links neither.
"""

import ast
import base64
import binascii
import json
import math
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import ParseResult, unquote, urlparse

from vr1_ray.data.refusals import DataError, shortened

IMAGE_ROOT = "data.image_root"
EMBEDDED = "the embedded image"
INNER = ("bytes", "data", "base64", "path", "image", "image_url", "url", "file_name")
_BASE64 = re.compile(r"[A-Za-z0-9+/\r\n]{65,}={0,2}\s*\Z")
_SEVERAL = re.compile(r"\s*[,;|\n]\s*")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


class PictureCells:
    """Takes cells apart; `root` is the folder of their paths, None where they may hold none.

    Example:
        cells = PictureCells(Path("data"))
        [cells.file(cell) for cell in cells.cells('["a.png", "b.png"]')]
    """

    def __init__(self, root: Path | None, setting: str = IMAGE_ROOT) -> None:
        self.root = root
        self.setting = setting  # what has another root; "" if nothing does

    def cells(self, value: Any) -> list[Any]:
        """The cells of a column that holds one image, a list of them (also as a text), or nothing."""
        if value in ([], ()) or (not isinstance(value, list | tuple) and is_empty(value)):
            return []
        if isinstance(value, str):
            value = self._several(value.strip())
        return (
            list(value) if isinstance(value, list | tuple) else [value]
        )  # [null] is a lost picture

    def _several(self, text: str) -> Any:
        """A list written as a text, as JSON or Python have it or with commas between paths; else the text."""
        if text.startswith(("[", "{")):
            for parse in (json.loads, ast.literal_eval):
                try:
                    return parse(text)
                except (ValueError, SyntaxError, RecursionError, MemoryError):
                    continue  # written the other way, or the name of a file
        parts = _SEVERAL.split(text) if len(text) < 4096 else [text]
        are_files = self.root is not None and len(parts) > 1 and not self._is_file(text)
        return parts if are_files and all(map(self._is_file, parts)) else text

    def _is_file(self, path: str) -> bool:
        try:
            return self.root is not None and bool(path) and (self.root / path).is_file()
        except (OSError, ValueError):  # too long, or with a NUL: no path
            return False

    def file(self, value: Any) -> tuple[bytes | Path, str]:
        """The bytes of one cell's file, or its path below the root, and what to call it in a message."""
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value), EMBEDDED
        if isinstance(value, dict):
            return self._struct_file(value)
        if isinstance(value, str) and value:
            return self._text_file(value)
        raise DataError(
            f"{shortened(value)} is no image; give a path, or a struct with `bytes` or `path`"
        )

    def _struct_file(self, value: dict[str, Any]) -> tuple[bytes | Path, str]:
        key = next((key for key in INNER if not is_empty(value.get(key))), None)
        if key is None and value.get("bytes") != b"":
            raise DataError(
                f"{shortened(value)} is no image; give a path, or a struct with `bytes` or `path`"
            )
        inner = value.get(key or "bytes")
        name = value.get("path") if isinstance(value.get("path"), str) else ""
        if key in ("bytes", "data", "base64") and isinstance(inner, str):
            if inner.startswith("data:"):
                return self._text_file(inner)
            return _base64_bytes(inner, f"`{key}`"), name or EMBEDDED
        if key in ("bytes", "data") and isinstance(inner, list):
            try:
                return bytes(inner), name or EMBEDDED
            except (TypeError, ValueError) as error:
                raise DataError(
                    f"`{key}`: {shortened(inner)} is no list of bytes ({error})"
                ) from error
        data, found = self.file(inner)
        return data, name or found

    def _text_file(self, text: str) -> tuple[bytes | Path, str]:
        if text.startswith("data:"):
            head, _, body = text.partition(",")
            if not head.endswith(";base64"):
                raise DataError(
                    f"{shortened(text)} is no data URI in base64; write data:image/png;base64,..."
                )
            return _base64_bytes(body, "the data URI"), EMBEDDED
        scheme = _SCHEME.match(text)
        if scheme and scheme[1].lower() != "file":
            raise DataError(
                f"{shortened(text)} is a URL; download them first (nothing is fetched while training), and give paths "
                "below data.image_root"
            )
        if _BASE64.match(text) and not self._is_file(text):
            return _base64_bytes(text, "the text"), f"{shortened(text, 40)}, read as base64,"
        path = unquote(_path_of(urlparse(text))) if scheme else text
        return find_inside(self.root, path, self.setting), path


def _path_of(uri: ParseResult) -> str:
    """The path of a file URI, also of file://a.png, whose first part stands where a host's name does."""
    return uri.path if uri.netloc in ("", "localhost") else f"{uri.netloc}{uri.path}"


def is_empty(value: Any) -> bool:
    """None, an empty text or list, a list of such, or the NaN that pandas writes for an empty cell."""
    if isinstance(value, list | tuple):
        return all(is_empty(item) for item in value)
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def _base64_bytes(text: str, what: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(
            f"{what}: {shortened(text, 40)} is no base64 ({error}); give the file's bytes, base64 of them, or a path"
        ) from error


def read_inside(root: Path | None, path: str, setting: str = IMAGE_ROOT) -> bytes:
    """The bytes of a file below `root`, as `find_inside` has it. Raises DataError."""
    return read_file(find_inside(root, path, setting), path)


def find_inside(root: Path | None, path: str, setting: str = IMAGE_ROOT) -> Path:
    """A file below `root`. Refuses every path that leaves it, through links too. Raises DataError.

    `setting` is what a user sets to have another `root`; "" where there is no such setting.
    """
    shown = shortened(path, 240)
    if root is None:
        ways = f"set {setting} to the folder of its pictures, or " if setting else ""
        raise DataError(
            f"{shown} is a path, but this dataset has no folder; {ways}embed the images as bytes"
        )
    target = root / path
    try:
        leaves = ".." in Path(path).parts or not target.resolve().is_relative_to(
            _resolved(root.absolute())
        )
        is_file = target.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL, a circle of links
        raise DataError(f"{shown} is no path ({error!s:.80}); give the path of a file") from error
    if leaves and (is_file or not Path(path).is_absolute()):
        raise DataError(f"{shown} leaves the data folder {root}{_leaving(root, path, setting)}")
    if not is_file:
        raise DataError(f"{shown} is no file{_where(root, path)}; {_put_or_set(root, setting)}")
    return target


def read_file(file: Path, name: str) -> bytes:
    """Its bytes. Raises DataError."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(
            f"{shortened(name, 240)} in {file.parent} can't be read ({error}); mend its permissions"
        ) from error


@lru_cache(maxsize=64)
def _resolved(root: Path) -> Path:
    return root.resolve()


def _where(root: Path, path: str) -> str:
    return " on this machine" if Path(path).is_absolute() else f" in {root}"


def _put_or_set(root: Path, setting: str) -> str:
    """The ways out for a picture that is not there."""
    if not root.is_dir():
        return f"there is no folder {root} (here: {Path.cwd()}); mend {setting or 'the path'}"
    if not setting:
        return "put it there"
    return (
        f"put the image there, or set {setting} to the folder that the paths start from (Vision-R1-cold is "
        "published without images: they come from LLaVA-CoT-100k and Mulberry-SFT)"
    )


def _leaving(root: Path, path: str, setting: str) -> str:
    """How a path leaves the folder, and the ways out."""
    target = root / path
    found = target.resolve()
    if not setting or not target.is_file():
        return "; put the file itself into it, and give its path there"
    if ".." in Path(path).parts:
        common = Path(os.path.commonpath([root.resolve(), found]))
        return f"; set {setting}={common} and write it as {str(found.relative_to(common))!r}"
    if Path(path).is_absolute():
        return (
            f"; set {setting} to a folder above all images, such as {found.parent}, or to / for whole paths that lead "
            "anywhere"
        )
    return (
        f": it is a link to {found}; copy what links point to (`cp -rL {root} COPY`), or set {setting} to "
        f"{found.parent} and give paths in it"
    )
