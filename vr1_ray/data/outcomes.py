"""Rows that are read in any process: what a worker needs to know, what it is given, and what became of each row."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vr1_ray.config import DataConfig
from vr1_ray.data.images import PICTURES, ImageReader, PictureFacts
from vr1_ray.data.refusals import DataError
from vr1_ray.data.rows import Kind, ReadRow, RowReader
from vr1_ray.data.stored import StoredFile
from vr1_ray.types import EncodedImage


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """How the rows of one table are read.

    Example:
        Reading(config=config, kind=PROMPTS, field="data.train", source="train.jsonl", root=Path("/data"))
    """

    config: DataConfig
    kind: Kind
    field: str
    source: str
    root: Path | None
    pictures: str = ""
    max_images: int | None = None

    def reader(self, known: dict[str, PictureFacts] | None = None) -> RowReader:
        folder = self.config.index_folder
        images = ImageReader(
            self.root,
            self.config.max_image_pixels,
            by_reference=True,
            unpack=Path(folder) / PICTURES if folder else None,
            known=known,
        )
        return RowReader(
            self.config, self.kind, images, pictures=self.pictures, max_images=self.max_images
        )

    def where(self, place: str) -> str:
        """What a row is called when its picture is missed later."""
        return f"{self.field}: {self.source}, {place}"


@dataclass(frozen=True, kw_only=True, slots=True)
class RowTask:
    """A row to be read. `place` gives the file and number that its cells can be read again by."""

    row: Any
    where: str
    place: tuple[str, int] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a row: read, or refused for `problem`; and what of it is worth a line in the log."""

    row: ReadRow | None = None
    problem: str = ""
    notes: dict[str, int] = field(default_factory=dict)
    listed: dict[str, list[str]] = field(default_factory=dict)
    facts: tuple[PictureFacts, ...] = ()  # of its pictures, in order


def read_rows(reader: RowReader, tasks: Sequence[RowTask]) -> list[Outcome]:
    """What becomes of each row."""
    return [_read(reader, task) for task in tasks]


def _read(reader: RowReader, task: RowTask) -> Outcome:
    reader.images.where, reader.images.place = task.where, task.place
    reader.notes.clear()
    reader.listed.clear()
    try:
        row = reader.read(task.row)
    except DataError as error:
        return Outcome(problem=str(error))
    return Outcome(
        row=row,
        notes={note: count for note, count in reader.notes.items() if count},
        listed=dict(reader.listed),
        facts=tuple(_facts(image, reader.images.known) for image in row.prompt.images),
    )


def _facts(image: EncodedImage, known: dict[str, PictureFacts]) -> PictureFacts:
    found = known.get(image.source.path) if isinstance(image.source, StoredFile) else None
    return found or PictureFacts(image.content_hash, image.size or (0, 0), False)
