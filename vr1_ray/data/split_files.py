r"""Which files of a folder are a split, by their names alone. What could be meant in two ways is refused.

    SPLIT.EXT                                     the split, whole
    SPLIT-0.EXT, SPLIT-00001-of-00004.EXT ...     its shards, all of them, in the order of their numbers; also SPLIT_0,
                                                  SPLIT.0, SPLIT-part-0, and with the hash that older hub sets have

there or in data/. Another name that begins so (`train-old.jsonl`) is no shard: beside SPLIT.EXT it is left alone, and
that is said; beside shards, or alone, it is refused.
"""

import glob
import re
from dataclasses import dataclass
from pathlib import Path

from vr1_ray.data.refusals import DataError
from vr1_ray.wording import counted

_SHARD = re.compile(r"[-_.](?:part[-_]?)?(\d+)(?:-of-(\d+))?(?:-[0-9a-f]{8,})?")
_SHOWN = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """What one place has of a split in one format."""

    files: list[Path]  # the split
    others: list[Path]  # named like it


def split_files(
    folder: Path, split: str, field: str, formats: tuple[str, ...]
) -> tuple[list[Path], str] | None:
    """The files of a split, in order, and what is worth saying of them; None if there are none. Raises DataError."""
    places = (folder, folder / "data")
    found = [_in_place(place, split, suffix, field) for place in places for suffix in formats]
    filled = [one for one in found if one.files]
    others = [file for one in found for file in one.others]
    if len(filled) > 1:
        kinds = " and ".join(_shown(one.files, folder) for one in filled)
        raise DataError(
            f"{field}: {folder} has split {split!r} more than once, in {kinds}; name the file itself, or move the others away"
        )
    if not filled and others:
        raise DataError(
            f"{field}: {_shown(others, folder)} in {folder} may be split {split!r} or not: a split is {split}.jsonl, or "
            f"shards {split}-0.jsonl, {split}-1.jsonl ...; rename it so, or name the file itself"
        )
    if not filled:
        return None
    said = f"split {split!r}: {_shown(filled[0].files, folder)}"
    if others:
        said += f" (not {_shown(others, folder)}, which is named like it)"
    return filled[0].files, said


def _in_place(place: Path, split: str, suffix: str, field: str) -> _Found:
    whole = place / f"{split}{suffix}"
    like = sorted(
        file for file in place.glob(f"{glob.escape(split)}[-_.]*{suffix}") if file.is_file()
    )
    numbers = {
        file: found
        for file in like
        if (found := _SHARD.fullmatch(file.name[len(split) : -len(suffix)]))
    }
    others = [file for file in like if file not in numbers]
    if whole.is_file() and numbers:
        raise DataError(
            f"{field}: {place} has {whole.name} and shards of it ({_shown(list(numbers), place)}); name the file itself, or "
            "move the others away"
        )
    if whole.is_file():
        return _Found(files=[whole], others=others)
    if numbers and others:
        raise DataError(
            f"{field}: {place} has {_shown(others, place)} beside the shards {_shown(list(numbers), place)} of split "
            f"{split!r}; move it away, or rename it"
        )
    shards = sorted(numbers, key=lambda file: int(numbers[file][1]))
    _check_shards(shards, numbers, field)
    return _Found(files=shards, others=others)


def _check_shards(files: list[Path], numbers: dict[Path, "re.Match[str]"], field: str) -> None:
    """Refuses shards whose names say that there are more of them, or that they are of two sets."""
    totals = {numbers[file][2] and int(numbers[file][2]) for file in files}
    if len(totals) > 1:
        raise DataError(
            f"{field}: {files[0].parent} has shards of more than one set ({_shown(files, files[0].parent)}); move the "
            "others away"
        )
    present = [int(numbers[file][1]) for file in files]
    total = next(iter(totals), None)
    first = min(present, default=0)
    if total is not None and len(set(present)) != total:
        raise DataError(
            f"{field}: {files[0].parent} has {len(set(present))} of the {total} shards that their names tell of "
            f"({files[0].name} is one); bring the others, or rename those you have to use them alone"
        )
    if present and (first > 1 or present != list(range(first, first + len(present)))):
        raise DataError(
            f"{field}: {files[0].parent} has the shards {_shown(files, files[0].parent)}, whose numbers do not follow one "
            "another from 0 or 1; bring those that lack, or name the file itself"
        )


def _shown(files: list[Path], folder: Path) -> str:
    names = ", ".join(str(file.relative_to(folder)) for file in files[:_SHOWN])
    return f"{names} ... ({counted(len(files), 'file')})" if len(files) > _SHOWN else names
