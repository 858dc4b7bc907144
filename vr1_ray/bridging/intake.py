"""The sources of a run become one list of rows on disk, in order, without asking anything.

    FOLDER/rows.jsonl      one BridgeRow a line
    FOLDER/bad_rows.jsonl  what can't be used or came before, with the reason
    FOLDER/images/         pictures that a source holds as bytes

What is wrong with a row shows here at once, except for its pictures on disk: these are opened where they are
sent, on many machines. The list is written anew at each start of a run; the same sources give the same list.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from vr1_ray.bridging.readers import BadRow, SourceRow, reader_named
from vr1_ray.bridging.rows import IMAGE_ROOT, BridgeRow, to_json
from vr1_ray.config import BridgeConfig, BridgeSourceConfig, ConfigError
from vr1_ray.data.marks import check_marks
from vr1_ray.data.picture_cells import read_inside
from vr1_ray.data.refusals import DataError
from vr1_ray.pictures import IMAGE_MARK
from vr1_ray.wording import counted

ROWS, BAD_ROWS, IMAGES = "rows.jsonl", "bad_rows.jsonl", "images"


@dataclass(frozen=True, kw_only=True, slots=True)
class Intake:
    """What the sources held: `offsets` are the byte positions in rows.jsonl at which blocks begin.

    Example:
        Intake(path=Path("rows.jsonl"), num_read=101, num_rows=100, num_bad=1, offsets=(0, 5120))
    """

    path: Path
    num_read: int
    num_rows: int
    num_bad: int
    offsets: tuple[int, ...]


def take_in(config: BridgeConfig, folder: Path) -> Intake:
    """Write the rows of all sources to `folder`. Raises ConfigError or DataError for a source that can't be read."""
    if not config.sources:
        raise ConfigError("bridge.sources: empty; list {reader, path} of at least one source")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ROWS
    seen: set[str] = set()
    offsets: list[int] = []
    num_read = num_rows = num_bad = 0
    with path.open("wb") as rows, (folder / BAD_ROWS).open("w", encoding="utf-8") as bad_rows:
        for source, item in _items(config):
            if config.max_rows and num_rows >= config.max_rows:
                break
            num_read += 1
            row = item if isinstance(item, BadRow) else _to_row(item, source, num_rows, folder)
            if isinstance(row, BridgeRow) and row.row_id in seen:
                row = BadRow(number=item.number, reason="the same question came before")
            if isinstance(row, BadRow):
                num_bad += 1
                bad_rows.write(json.dumps({"path": source.path, **asdict(row)}) + "\n")
                continue
            seen.add(row.row_id)
            if num_rows % config.rows_per_block == 0:
                offsets.append(rows.tell())
            rows.write(to_json(row).encode() + b"\n")
            num_rows += 1
    if not num_rows:
        raise DataError(
            f"bridge.sources: none of {counted(num_read, 'row')} can be used; see {folder / BAD_ROWS}"
        )
    return Intake(
        path=path, num_read=num_read, num_rows=num_rows, num_bad=num_bad, offsets=tuple(offsets)
    )


def first_row(source: BridgeSourceConfig) -> str:
    """The question of a source's first good row, as a proof that it can be read. Raises ConfigError or DataError."""
    reasons = []
    for item in islice(_read(source), 100):
        if isinstance(item, SourceRow):
            for image in item.images:
                if isinstance(image, str):
                    root = Path(source.image_root or Path(source.path).parent)
                    read_inside(root, image, IMAGE_ROOT)
            return f"{item.question[:60]!r}"
        reasons.append(item.reason)
    raise DataError(
        f"bridge.sources: {source.path}: no usable row among the first {len(reasons)}: {reasons[:1]}"
    )


def block_lines(path: Path, offset: int, num_rows: int) -> list[str]:
    """The lines of one block of rows.jsonl."""
    with path.open("rb") as file:
        file.seek(offset)
        lines = [file.readline().decode().rstrip("\n") for _ in range(num_rows)]
    return [line for line in lines if line]


def _items(config: BridgeConfig) -> Iterator[tuple[BridgeSourceConfig, SourceRow | BadRow]]:
    for source in config.sources:
        for item in _read(source):
            yield source, item


def _read(source: BridgeSourceConfig) -> Iterator[SourceRow | BadRow]:
    path = Path(source.path)
    if not path.is_file():
        raise ConfigError(
            f"bridge.sources: {path} is no file; check the path (relative to {Path.cwd()})"
        )
    return reader_named(source.reader)(path)


def _to_row(
    item: SourceRow, source: BridgeSourceConfig, index: int, folder: Path
) -> BridgeRow | BadRow:
    question = item.question.strip()
    if not question.replace(IMAGE_MARK, "").strip() or not item.answer.strip() or not item.images:
        return BadRow(
            number=item.number, reason="no question, answer or image: a row needs all three"
        )
    if IMAGE_MARK not in question:
        question = IMAGE_MARK * len(item.images) + question
    try:
        check_marks(question, len(item.images), "question")
    except DataError as error:
        return BadRow(number=item.number, reason=str(error))
    if len({type(image) for image in item.images}) > 1:
        return BadRow(number=item.number, reason="images: bytes and paths stand mixed in one row")
    is_embedded = isinstance(item.images[0], bytes)
    root = folder / IMAGES if is_embedded else Path(source.image_root or Path(source.path).parent)
    images = tuple(_image_path(image, root) for image in item.images)
    content = json.dumps([question, item.answer.strip(), str(source.image_root), images])
    return BridgeRow(
        index=index,
        row_id=hashlib.sha256(content.encode()).hexdigest()[:16],
        source=f"{source.reader} {item.source_id}",
        question=question,
        answer=item.answer.strip(),
        images=images,
        image_root=str(root.resolve()),
        pseudo_cot=item.pseudo_cot,
        metadata=item.metadata,
    )


def _image_path(image: str | bytes, root: Path) -> str:
    """The image's path below `root`; bytes are written there, named by their content."""
    if isinstance(image, str):
        return image
    name = f"{hashlib.sha256(image).hexdigest()[:32]}{_suffix(image)}"
    root.mkdir(exist_ok=True)
    if not (root / name).is_file():
        (root / name).write_bytes(image)
    return name


def _suffix(data: bytes) -> str:
    starts = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"GIF8": ".gif", b"RIFF": ".webp"}
    return next((suffix for start, suffix in starts.items() if data.startswith(start)), ".img")
