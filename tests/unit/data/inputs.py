"""Small inputs for the readers of data: pictures as files, rows as files, each reader by name."""

import base64
import io
import json
from pathlib import Path

from PIL import Image

from vr1_ray.config import DataConfig
from vr1_ray.data import DataError, load_demonstrations, load_prompts
from vr1_ray.data.questions import load_questions

READERS = ("prompts", "demonstrations", "questions")
RESPONSE = "<think> Okay. </think><answer> Final Answer:3 </answer>"


def encode(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def png(colour: str = "red", size: tuple[int, int] = (8, 6)) -> bytes:
    return encode(Image.new("RGB", size, colour))


RED, BLUE = png("red"), png("blue")
RED_TEXT = base64.b64encode(RED).decode()


def pictures(folder: Path) -> Path:
    """A folder with a.png, b.png, files that are no pictures, and a link out of it."""
    (folder / "data").mkdir()
    root = folder / "data"
    (root / "a.png").write_bytes(RED)
    (root / "b.png").write_bytes(BLUE)
    (root / "html.jpg").write_bytes(b"<!DOCTYPE html><title>404</title>")
    (root / "lfs.png").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n")
    (root / "drawing.png").write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    (root / "page.png").write_bytes(b"%PDF-1.7")
    (root / "strip.png").write_bytes(png(size=(2, 401)))
    (root / "empty.png").write_bytes(b"")
    (folder / "outside.png").write_bytes(RED)
    (root / "link.png").symlink_to(folder / "outside.png")
    return root


def as_row(reader: str, **cells) -> dict:
    """A row that the reader takes, with `question`, `answer`, `images` ... as given; None leaves a column out."""
    question = cells.pop("question", "How many?")
    answer = cells.pop("answer", "3")
    if reader == "prompts":
        row = {"problem": question, "answer": answer}
    elif reader == "questions":
        row = {"question": question, "answer": answer}
    else:
        row = {"query": question, "response": RESPONSE}
    return {**row, **cells}


def write_rows(root: Path, rows: list, suffix: str = ".jsonl") -> str:
    """The rows as a file of that kind. A row that is a text is a line of its own."""
    path = root / f"rows{suffix}"
    if suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
    elif suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    else:
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def read(reader: str, source: str, **settings) -> list:
    """What the reader makes of a file: prompts, or demonstrations."""
    if reader == "prompts":
        return load_prompts(DataConfig(**settings), source, "train")
    if reader == "questions":
        return load_questions(source, "", DataConfig(**settings))
    return load_demonstrations(DataConfig(demonstrations=[source], **settings))


def outcome(reader: str, root: Path, rows: list, suffix: str = ".jsonl", **settings):
    """The prompts of the rows, or the message that refused them."""
    try:
        found = read(reader, write_rows(root, rows, suffix), **settings)
    except DataError as error:
        return str(error)
    return [getattr(item, "prompt", item) for item in found]
