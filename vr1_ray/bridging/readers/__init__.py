"""Readers of source data, by name: `sources: [{reader: llava_cot, path: train.jsonl, image_root: images}]`."""

from typing import Any

from vr1_ray.bridging.readers.base import BadRow, Reader, SourceRow
from vr1_ray.bridging.readers.geometry3k import read_geometry3k
from vr1_ray.bridging.readers.jsonl import read_jsonl
from vr1_ray.bridging.readers.llava_cot import read_llava_cot
from vr1_ray.bridging.readers.mulberry import read_mulberry
from vr1_ray.config.tables import find

READERS: dict[str, Reader] = {
    "geometry3k": read_geometry3k,
    "jsonl": read_jsonl,
    "llava_cot": read_llava_cot,
    "mulberry": read_mulberry,
}

__all__ = ["READERS", "BadRow", "Reader", "SourceRow", "reader_named"]


def reader_named(name: str) -> Reader:
    """The reader of that name, or the function that `package.module:Name` names. Raises ValueError."""
    found: Any = find(READERS, name, "bridge.sources.reader")
    if not callable(found):
        raise ValueError(
            f"bridge.sources.reader={name!r} is no function; name one that takes a path."
        )
    return found
