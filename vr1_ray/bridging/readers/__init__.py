"""Readers of source data, by name: `sources: [{reader: llava_cot, path: train.jsonl, image_root: images}]`."""

import importlib

from vr1_ray.bridging.readers.base import BadRow, Reader, SourceRow
from vr1_ray.bridging.readers.geometry3k import read_geometry3k
from vr1_ray.bridging.readers.jsonl import read_jsonl
from vr1_ray.bridging.readers.llava_cot import read_llava_cot
from vr1_ray.bridging.readers.mulberry import read_mulberry
from vr1_ray.config import ConfigError

READERS: dict[str, Reader] = {
    "geometry3k": read_geometry3k,
    "jsonl": read_jsonl,
    "llava_cot": read_llava_cot,
    "mulberry": read_mulberry,
}

__all__ = ["READERS", "BadRow", "Reader", "SourceRow", "reader_named"]


def reader_named(name: str) -> Reader:
    """The reader of that name, or the function that `package.module:Name` names. Raises ConfigError."""
    if name in READERS:
        return READERS[name]
    module, colon, function = name.partition(":")
    if not colon:
        raise ConfigError(
            f"bridge.sources.reader: {name!r} is none of {', '.join(READERS)}; or give package.module:Name"
        )
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"bridge.sources.reader: {name!r} can't be loaded: {error}") from error
