"""Questions to be answered, without a reference answer or with one: one image, a folder, or a JSONL file.

    a folder      each picture is a question: the text in NAME.txt beside it, else one text for all
    a JSONL file  rows {"question" or "problem": ..., "image": path or "images": [paths], "answer": optional}

Image paths of rows are relative to the file, or to `data.image_root`. A text without an `<image>` mark gets
one per image before it. Every mistake shows before an engine is started, with the row's number.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from vr1_ray.config import DataConfig
from vr1_ray.data.images import IMAGE_MARK, DataError, ImageReader, RowProblems, check_marks
from vr1_ray.data.prompts import make_prompt, number_duplicates
from vr1_ray.types import Prompt

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
_FIELD = "--input"


def one_question(images: list[str], text: str, config: DataConfig) -> Prompt:
    """A question given on the command line; its image paths may lead anywhere. Raises DataError."""
    reader = ImageReader(None, config.max_image_pixels)
    pictures = []
    for path in images:
        if not Path(path).is_file():
            raise DataError(f"--image: {path} is no file; check the path (here: {Path.cwd()})")
        pictures.append(reader.read({"bytes": Path(path).read_bytes(), "path": path}))
    question = _with_marks(text, len(pictures))
    check_marks(question, len(pictures), "--question")
    return replace(make_prompt(question, tuple(pictures), ""), metadata={"images": images})


def load_questions(source: str, text: str, config: DataConfig) -> list[Prompt]:
    """All questions of a folder or a JSONL file, in order. Raises DataError.

    `text` is what pictures of a folder are asked that have no text of their own.
    """
    path = Path(source)
    if path.is_dir():
        rows, root = _folder_rows(path, text), path
    elif path.is_file():
        rows, root = _jsonl_rows(path), path.parent
    else:
        raise DataError(f"{_FIELD}: {source} does not exist; give a folder of pictures or a .jsonl")
    reader = ImageReader(
        Path(config.image_root) if config.image_root else root, config.max_image_pixels
    )
    problems = RowProblems(_FIELD, source)
    prompts = []
    for number, row in enumerate(rows):
        try:
            prompts.append(_to_prompt(row, reader))
        except DataError as error:
            problems.add(number, str(error))
    problems.raise_if_any()
    return number_duplicates(prompts)


def _folder_rows(folder: Path, text: str) -> list[dict[str, Any]]:
    pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    if not pictures:
        raise DataError(f"{_FIELD}: {folder} holds no picture ({', '.join(PICTURES)})")
    rows = []
    for picture in pictures:
        own = picture.with_suffix(".txt")
        question = own.read_text(encoding="utf-8").strip() if own.is_file() else text
        if not question:
            raise DataError(
                f"{_FIELD}: {picture.name} has no question; write it into {own.name}, or give --question for all"
            )
        rows.append({"image": picture.name, "question": question})
    return rows


def _jsonl_rows(path: Path) -> list[Any]:
    rows = []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{_FIELD}: {path} can't be read ({error}); give a .jsonl file") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise DataError(
                f"{_FIELD}: {path}, line {number} is no JSON ({error}); give one object a line"
            ) from error
    if not rows:
        raise DataError(f"{_FIELD}: {path} has no rows; give one object a line")
    return rows


def _to_prompt(row: Any, reader: ImageReader) -> Prompt:
    if not isinstance(row, dict):
        raise DataError(f"{row!r:.80} is no row; write an object with `question` and `image`")
    text = row.get("question", row.get("problem"))
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"question: {text!r} is no question; give every row a text")
    column = "images" if "images" in row else "image"
    given = row.get(column)
    try:
        pictures = reader.read_all(given)
    except DataError as error:
        raise DataError(f"{column}: {error}") from error
    question = _with_marks(text, len(pictures))
    check_marks(question, len(pictures), "question")
    answer = row.get("answer")
    prompt = make_prompt(question, pictures, "" if answer is None else str(answer))
    names = given if isinstance(given, list) else [given] if isinstance(given, str) else []
    is_named = all(isinstance(name, str) for name in names)
    own_id = {"id": row["id"]} if isinstance(row.get("id"), (str, int)) else {}
    return replace(prompt, metadata=own_id | ({"images": names} if is_named else {}))


def _with_marks(text: str, num_images: int) -> str:
    return text if IMAGE_MARK in text else IMAGE_MARK * num_images + text
