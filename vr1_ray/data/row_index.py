"""What was read of a file before, so that a second start opens no picture: one small file per file of data.

    {"version": ..., "name": "/data/train.jsonl", "stamp": [size, time of change]}
    [prompt id, question, answer, metadata, response, names, own id, pictures, notes, listed, reference]  a line for each row
    null                                                                          a row that was refused
    {"is_whole": true}                                                            no row comes after these

A line holds as long as the file of data has its stamp and each picture of the row that is a file has its own. Where
the file of data has changed, what is known of such pictures is still used. The version is that of the code that reads
rows and of the settings it reads by. It is written beside and put in place at once, so two starts disturb no one.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any

from vr1_ray.data.images import PictureFacts
from vr1_ray.data.outcomes import Outcome, Reading
from vr1_ray.data.rows import ReadRow
from vr1_ray.data.stored import StoredCell, StoredFile, beside, stamp_of
from vr1_ray.data.tables import Part
from vr1_ray.types import EncodedImage, Prompt

log = logging.getLogger(__name__)

READ_BY = (
    "prompt_column",
    "answer_column",
    "images_column",
    "max_image_pixels",
)  # of `DataConfig`: what a row becomes depends on them


class RowIndex:
    """The index of one part of a table.

    Example:
        index = RowIndex(Path("runs/data_index"), reading, part)
        outcomes, is_whole = index.load(lambda number: f"row {number}")
    """

    def __init__(self, folder: str, reading: Reading, part: Part) -> None:
        config = reading.config
        settings = [getattr(config, name) for name in READ_BY]
        root = str(reading.root and reading.root.absolute())
        own = [reading.kind.text, reading.kind.needs_answer, reading.kind.needs_response]
        of_table = [root, reading.pictures, reading.max_images, *own]
        key = json.dumps([part.name, settings, of_table])
        self.part = part
        self.header = {
            "version": code_version(),
            "name": part.name,
            "stamp": _plain(part.stamp),
        }
        name = f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.jsonl"
        is_kept = folder and part.stamp is not None
        self.path = Path(folder).absolute() / name if is_kept else None

    def load(self, where: Callable[[int], str]) -> tuple[list[Outcome | None], bool]:
        """What is known of the rows from the first on, None for one to be read; and whether these are all."""
        found: list[Outcome | None] = []
        try:
            for line in self._lines():
                if isinstance(line, dict):
                    return found, bool(line["is_whole"])
                found.append(None if line is None else _outcome(line, where(len(found))))
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            log.warning("%s: can't be read (%s); the rows are read again", self.path, error)
            return [], False
        return found, False

    def _lines(self) -> Iterator[Any]:
        if self.path is None or not self.path.is_file():
            return
        with self.path.open(encoding="utf-8") as file:
            if json.loads(file.readline()) == self.header:
                yield from map(json.loads, file)

    @contextmanager
    def writing(self) -> Iterator[Callable[[Outcome | bool], None]]:
        """Gives what is to be called with each outcome, and with True after the last row. What was kept is kept also
        if reading breaks off. An index that can't be written is told, and costs the next start its time alone."""
        if self.path is None:
            yield lambda outcome: None
            return
        temporary = beside(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = temporary.open("w", encoding="utf-8")
        except OSError as error:
            log.warning("data.index_folder: %s can't be written (%s)", self.path.parent, error)
            yield lambda outcome: None
            return
        with file:
            writer = _Writer(file, self.header)
            try:
                yield writer.keep
            finally:
                writer.end()
        problem = writer.problem
        try:
            if problem is None:
                temporary.replace(self.path)
        except OSError as error:
            problem = error
        if problem is not None:
            log.warning("data.index_folder: %s can't be written (%s)", self.path, problem)
            temporary.unlink(missing_ok=True)


class _Writer:
    """Writes an index; the first error ends the writing, not the reading."""

    def __init__(self, file: IO[str], header: dict[str, Any]) -> None:
        self.file = file
        self.problem: OSError | None = None
        self.is_whole = False
        self._write(header)

    def keep(self, outcome: Outcome | bool) -> None:
        if isinstance(outcome, bool):
            self.is_whole = outcome
        else:
            self._write(_line(outcome))

    def end(self) -> None:
        self._write({"is_whole": self.is_whole})
        try:
            self.file.flush()
        except OSError as error:
            self.problem = self.problem or error

    def _write(self, line: Any) -> None:
        try:
            if self.problem is None:
                self.file.write(json.dumps(line) + "\n")
        except OSError as error:
            self.problem = error


def known_pictures(path: Path) -> dict[str, PictureFacts]:
    """Of an index, whatever its stamp: the pictures that are files, by path. {} for one that can't be read."""
    found: dict[str, PictureFacts] = {}
    try:
        with path.open(encoding="utf-8") as file:
            if json.loads(file.readline())["version"] != code_version():
                return {}
            for line in map(json.loads, file):
                for picture in line[7] if isinstance(line, list) else ():
                    if isinstance(picture[4], list):
                        found[picture[3]] = _facts(picture)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return {}
    return found


def _line(outcome: Outcome) -> list[Any] | None:
    row = outcome.row
    if row is None or any(image.source is None for image in row.prompt.images):
        return None  # refused, or a picture that stands nowhere but in the row
    prompt = row.prompt
    pictures = [
        _picture(image, facts) for image, facts in zip(prompt.images, outcome.facts, strict=True)
    ]
    return [
        prompt.prompt_id, prompt.question, prompt.answer, prompt.metadata, row.response, row.names, row.own_id,
        pictures, outcome.notes, outcome.listed, row.reference,
    ]  # fmt: skip


def _picture(image: EncodedImage, facts: PictureFacts) -> list[Any]:
    """[hash, size, is animated, path, stamp] of a file, [hash, size, is animated, path, row, column, index] of a cell."""
    head = [facts.content_hash, facts.size, facts.is_animated]
    source = image.source
    if isinstance(source, StoredCell):
        return [*head, source.path, source.row, source.column, source.index]
    assert isinstance(source, StoredFile)
    return [*head, source.path, facts.stamp if facts.stamp != (0, 0) else stamp_of(source.path)]


def _outcome(line: list[Any], where: str) -> Outcome | None:
    """What a line says; None if a picture's file has changed since."""
    (
        prompt_id,
        question,
        answer,
        metadata,
        response,
        names,
        own_id,
        pictures,
        notes,
        listed,
        reference,
    ) = line
    images = []
    for picture in pictures:
        if isinstance(picture[4], list) and tuple(picture[4]) != stamp_of(picture[3]):
            return None
        images.append(_image(picture, where))
    prompt = Prompt(
        prompt_id=prompt_id,
        question=question,
        images=tuple(images),
        answer=answer,
        metadata=metadata,
    )
    row = ReadRow(
        prompt=prompt,
        response=response,
        reference=reference,
        names=None if names is None else tuple(names),
        own_id=own_id,
    )
    facts = tuple(_facts(picture) for picture in pictures)
    return Outcome(row=row, notes=notes, listed=listed, facts=facts)


def _facts(picture: list[Any]) -> PictureFacts:
    width, height = picture[1]
    stamp = picture[4] if isinstance(picture[4], list) else (0, 0)
    return PictureFacts(picture[0], (width, height), picture[2], (stamp[0], stamp[1]))


def _image(picture: list[Any], where: str) -> EncodedImage:
    width, height = picture[1]
    source: StoredFile | StoredCell
    if isinstance(picture[4], list):
        source = StoredFile(path=picture[3], where=where)
    else:
        path, row, column, index = picture[3:]
        source = StoredCell(path=path, row=row, column=column, index=index, where=where)
    return EncodedImage(content_hash=picture[0], source=source, size=(width, height))


@cache
def code_version() -> str:
    """Of the code that turns rows into prompts, and of the library that decodes pictures."""
    import PIL

    folder = Path(__file__).parent
    code = hashlib.sha256(PIL.__version__.encode())
    for path in sorted([*folder.glob("*.py"), folder.parent / "pictures.py"]):
        code.update(path.read_bytes())
    return code.hexdigest()[:16]


def _plain(stamp: tuple[Any, ...] | None) -> Any:
    """As JSON gives it back."""
    return json.loads(json.dumps(stamp))
