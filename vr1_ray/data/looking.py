"""What a source of rows is, found by looking: its form, its columns, its pictures, and what of it can't be used.

For `vr1 init`, which writes a config for it. What is chosen here is tried with the reader of every run (rows.py), so
that nothing is said of a file that a run would not find true.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vr1_ray.config import DataConfig
from vr1_ray.config.paths import written_out
from vr1_ray.data.forms import answer_column, form_of
from vr1_ray.data.images import ImageReader
from vr1_ray.data.lost_pictures import other_pictures
from vr1_ray.data.picture_cells import is_empty
from vr1_ray.data.refusals import DataError
from vr1_ray.data.rows import DEMONSTRATIONS, PROMPTS, ReadRow, RowReader
from vr1_ray.data.tables import open_table

LOOKED_AT = 200  # rows that are read, pictures and all; the others are counted
MOST_COUNTED = 100_000
FIELD = "--data"
# Names that people give; those of `forms.py` are known to every run and come first.
QUESTIONS = ("question", "problem", "query", "prompt", "instruction", "input", "text", "Question")
ANSWERS = ("answer", "final_answer", "gold", "target", "label", "output", "gt", "Answer")


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What was found. `read` are the rows that can be used, of those looked at, as prompts or demonstrations.

    Example:
        looked = look_at("data/mine.jsonl", "train")
        looked.num_rows, looked.config.prompt_column, len(looked.prompts)    # 40, "question", 40
    """

    source: str
    num_rows: int
    is_all: bool  # counted to the end
    config: DataConfig  # the columns and the folder of pictures
    notes: list[str]  # what was read as what
    prompts: list[ReadRow] = field(default_factory=list)
    demonstrations: list[ReadRow] = field(default_factory=list)
    problems: list[str] = field(
        default_factory=list
    )  # of rows that can't be used as the better of the two

    @property
    def max_images(self) -> int:
        """The most pictures of a row that was looked at."""
        return max(len(row.prompt.images) for row in self.prompts or self.demonstrations)


def look_at(source: str, split: str, given: Mapping[str, Any] = MappingProxyType({})) -> Looked:
    """Look at a file, folder or hub set. `given` are settings of `data` by name, which are not looked for.

    Raises DataError if it can't be read, or no row can be used.
    """
    table = open_table(source, split, FIELD)
    every = enumerate(row for part in table.parts for row in part.rows())
    rows = [(f"row {number}", row) for number, row in islice(every, LOOKED_AT)]
    left = sum(1 for _ in islice(every, MOST_COUNTED - len(rows)))
    if not rows:
        raise DataError(f"{FIELD}: {source} has no rows; give a file or split that has")
    start = replace(DataConfig(split=split), **given)
    config = _columns([row for _, row in rows if isinstance(row, dict)], start)
    config = replace(config, **given)
    root = Path(written_out(config.image_root)) if config.image_root else None
    root = root or _image_root(table.root, [row for _, row in rows], config, table.pictures)
    if root is not None and root != table.root and not config.image_root:
        config = replace(config, image_root=str(root))
    found, problems, notes = {}, {}, {}
    for kind in (PROMPTS, DEMONSTRATIONS):
        reader = RowReader(
            config, kind, ImageReader(root, config.max_image_pixels), pictures=table.pictures
        )
        found[kind], problems[kind] = _read(reader, rows)
        notes[kind] = [note for note, count in reader.notes.items() if count]
    better = PROMPTS if found[PROMPTS] else DEMONSTRATIONS
    if not found[better]:
        shown = "\n  ".join(problems[PROMPTS][:3])
        raise DataError(
            f"{FIELD}: no row of {source} can be used ({len(rows)} looked at):\n  {shown}\n"
            "A setting of data is given behind the name, such as data.image_root=FOLDER"
        )
    num_rows = len(rows) + left
    return Looked(
        source=source,
        num_rows=num_rows,
        is_all=num_rows < MOST_COUNTED,
        config=config,
        notes=notes[better],
        prompts=found[PROMPTS],
        demonstrations=found[DEMONSTRATIONS],
        problems=problems[better],
    )


def _read(reader: RowReader, rows: Iterable[tuple[str, Any]]) -> tuple[list[ReadRow], list[str]]:
    found, problems = [], []
    for place, row in rows:
        try:
            found.append(reader.read(row))
        except DataError as error:
            problems.append(f"{place}: {error}")
    return found, problems


def _columns(rows: list[dict[str, Any]], config: DataConfig) -> DataConfig:
    """The columns: those that every run knows, else such as have a usual name or hold what looks like it."""
    row = rows[0] if rows else {}
    if form_of(row, config, wants_response=False) is None:
        text = _named(row, QUESTIONS) or _longest_text(row)
        config = replace(config, prompt_column=text or config.prompt_column)
    if answer_column(row, config) is None and (answer := _named(row, ANSWERS)):
        config = replace(config, answer_column=answer)
    form = form_of(row, config, wants_response=False)
    own = () if form is None else form.pictures
    if config.images_column not in row and not any(name in row for name in own):
        used = {config.prompt_column, answer_column(row, config)}
        used |= set() if form is None else {form.text, form.response}
        found = (other_pictures(row, used) for row in rows)
        pictures = next((one[0] for one in found if one and not one[1]), None)
        config = replace(config, images_column=pictures or config.images_column)
    return config


def _named(row: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((name for name in names if not is_empty(row.get(name))), "")


def _longest_text(row: dict[str, Any]) -> str:
    texts = {name: cell for name, cell in row.items() if isinstance(cell, str) and " " in cell}
    return max(texts, key=lambda name: len(texts[name]), default="")


def _image_root(
    root: Path | None, rows: list[Any], config: DataConfig, pictures: str
) -> Path | None:
    """The folder that picture paths start from, if a usual one has them; else that of the file."""
    reader = ImageReader(root, config.max_image_pixels)
    cells = [cell for row in rows if isinstance(row, dict) for cell in _cells(reader, row, config)]
    paths = [cell for cell in cells if isinstance(cell, str) and len(cell) < 1024]
    if root is None or pictures or not paths:
        return root
    if all(Path(path).is_absolute() for path in paths):
        return Path(os.path.commonpath([str(Path(path).parent) for path in paths]))
    usual = (root, root / "images", root.parent, root.parent / "images")
    return next((folder for folder in usual if (folder / paths[0]).is_file()), root)


def _cells(reader: ImageReader, row: dict[str, Any], config: DataConfig) -> list[Any]:
    form = form_of(row, config, wants_response=False)
    names = (config.images_column, *(() if form is None else form.pictures))
    return reader.cells(next((row[name] for name in names if name in row), None))
