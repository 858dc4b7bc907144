"""Questions to be answered, without a reference answer or with one: one image, a folder, or a JSONL file.

    a folder      each picture is a question: the text in NAME.txt beside it, else one text for all
    a file        rows {"question": ..., "image": path or "images": [paths], "answer": optional}, or another form
                  of forms.py, read as prompts are (rows.py)

Every mistake shows before an engine is started, with the row's number.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vr1_ray.config import DataConfig
from vr1_ray.data.images import ImageReader
from vr1_ray.data.marks import check_text, place_marks
from vr1_ray.data.prompt_ids import make_prompt, number_duplicates
from vr1_ray.data.reading import read_table
from vr1_ray.data.refusals import DataError
from vr1_ray.data.rows import QUESTIONS, ReadRow
from vr1_ray.data.tables import Part, Table, open_table
from vr1_ray.types import Prompt

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
_FIELD = "--input"


def one_question(
    images: Sequence[Any],
    text: str,
    config: DataConfig,
    *,
    names: tuple[str, str] = ("--image", "--question"),
) -> Prompt:
    """A question given on the command line or in Python; its image paths may lead anywhere. Raises DataError.

    An image that is no path is a cell as data has it (images.py). `names` are what the two are called in messages.
    """
    reader = ImageReader(None, config.max_image_pixels)
    pictures = []
    for image in images:
        if isinstance(image, str) and not Path(image).is_file():
            raise DataError(f"{names[0]}: {image} is no file; check the path (here: {Path.cwd()})")
        try:
            is_path = isinstance(image, str)
            cell = {"bytes": Path(image).read_bytes(), "path": image} if is_path else image
            pictures.append(reader.read(cell))
        except (DataError, OSError) as error:
            raise DataError(f"{names[0]}: {error}") from error
    check_text(text, names[1])
    question, order = place_marks(text, len(pictures), names[1])
    prompt = make_prompt(question, tuple(pictures[index] for index in order), "")
    return replace(prompt, metadata={"images": [one for one in images if isinstance(one, str)]})


def load_questions(source: str, text: str, config: DataConfig) -> list[Prompt]:
    """All questions of a folder or a file, in order. Raises DataError.

    `text` is what pictures of a folder are asked that have no text of their own.
    """
    path = Path(source)
    if not path.exists():
        raise DataError(f"{_FIELD}: {source} does not exist; give a folder of pictures or a .jsonl")
    pictures = _pictures(path) if path.is_dir() else []
    if pictures:
        table = _pictures_table(path, pictures, text)
    else:
        if text:
            raise DataError(
                f"--question: {source} has questions of its own, so it has no effect; leave it out, or give a folder "
                "of pictures"
            )
        table = open_table(source, config.split, _FIELD)
    rows = read_table(table, config, QUESTIONS, _FIELD)
    return number_duplicates([_with_names(row) for row in rows])


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)


def _pictures_table(folder: Path, pictures: list[Path], text: str) -> Table:
    rows = []
    for picture in pictures:
        own = picture.with_suffix(".txt")
        question = _own_text(own) if own.is_file() else text
        if not question:
            raise DataError(
                f"{_FIELD}: {picture.name} has no question; write it into {own.name}, or give --question for all"
            )
        rows.append({"image": picture.name, "question": question})
    part = Part(name=str(folder), rows=lambda: iter(rows))
    return Table(source=str(folder), root=folder, parts=iter([part]))


def _own_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise DataError(f"{_FIELD}: {path} can't be read ({error}); save it as UTF-8") from error


def _with_names(row: ReadRow) -> Prompt:
    """The prompt with what its responses are written with: the names of its pictures, and the row's own id."""
    names = {} if row.names is None else {"images": list(row.names)}
    return replace(row.prompt, metadata=row.own_id | names)
