"""The finished dataset on disk, written row by row.

    FOLDER/demonstrations_llava.json      {id, image, conversations: [human, gpt]}, one row a line
    FOLDER/demonstrations_mulberry.json   {images, conversations: [user, assistant]}
    FOLDER/dataset_info.json              both for LLaMA-Factory, as Vision-R1-cold has it
    FOLDER/train-00000.parquet ...        images (embedded), problem, answer, response, source
    FOLDER/images/                        the pictures, named by their content

Both JSON files are Vision-R1-cold's (huggingface.co/datasets/Osilly/Vision-R1-cold): two column variants of the
same rows, either of which `data.demonstrations` takes. The same outcomes give the same bytes.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from vr1_ray.bridging.rows import IMAGE_ROOT, Outcome
from vr1_ray.data.picture_cells import read_inside

LLAVA, MULBERRY, IMAGES = "demonstrations_llava.json", "demonstrations_mulberry.json", "images"
_ROWS_PER_GROUP = 100
_INFO = {
    "vision_r1_llava_cot_full": (LLAVA, "image", "human", "gpt"),
    "vision_r1_mulberry_sft_full": (MULBERRY, "images", "user", "assistant"),
}


def response_of(outcome: Outcome) -> str:
    """The response in Vision-R1's format, with the reference answer, which the chain's own agrees with."""
    assert outcome.chosen is not None
    return (
        f"<think> {outcome.chosen.thought} </think>"
        f"<answer> Final Answer:{outcome.row.answer} </answer>"
    )


class DatasetWriter:
    """Writes kept rows; a context.

    Example:
        with DatasetWriter(Path("runs/demo/dataset"), rows_per_shard=20_000) as writer:
            writer.write(outcome)
    """

    def __init__(self, folder: Path, *, rows_per_shard: int) -> None:
        self.folder, self.rows_per_shard = folder, rows_per_shard
        self.num_rows = 0
        self._stack = ExitStack()
        self._parquet: Any = None
        self._group: list[dict[str, Any]] = []

    def __enter__(self) -> "DatasetWriter":
        (self.folder / IMAGES).mkdir(parents=True, exist_ok=True)
        self._files: dict[str, IO[str]] = {}
        for name in (LLAVA, MULBERRY):
            file = (self.folder / name).open("w", encoding="utf-8")
            self._files[name] = self._stack.enter_context(file)
            file.write("[")
        return self

    def __exit__(self, *exception: Any) -> None:
        with self._stack:
            self._flush()
            if self._parquet is not None:
                self._parquet.close()
            for file in self._files.values():
                file.write("\n]\n")
            info = {name: _info(*values) for name, values in _INFO.items()}
            (self.folder / "dataset_info.json").write_text(json.dumps(info, indent=1) + "\n")

    def write(self, outcome: Outcome) -> list[Path]:
        """Add one kept row; returns its pictures' paths. Raises DataError if a picture is gone."""
        row = outcome.row
        data = [read_inside(Path(row.image_root), path, IMAGE_ROOT) for path in row.images]
        paths = [
            self._keep_image(item, Path(path).suffix)
            for item, path in zip(data, row.images, strict=True)
        ]
        names: Any = [f"{IMAGES}/{path.name}" for path in paths]
        response, number = response_of(outcome), self.num_rows
        for _, (file, column, asker, answerer) in _INFO.items():
            turns = [
                {"from": asker, "value": row.question},
                {"from": answerer, "value": response},
            ]
            identity = {"id": row.row_id} if column == "image" else {}
            fields = {**identity, column: names[0] if len(names) == 1 else names}
            line = json.dumps({**fields, "conversations": turns}, ensure_ascii=False)
            self._files[file].write(f"{',' if number else ''}\n{line}")
        images = [
            {"bytes": item, "path": path.name} for item, path in zip(data, paths, strict=True)
        ]
        self._group.append(
            {
                "images": images,
                "problem": row.question,
                "answer": row.answer,
                "response": response,
                "source": row.source,
            }
        )
        self.num_rows += 1
        if len(self._group) == _ROWS_PER_GROUP or self.num_rows % self.rows_per_shard == 0:
            self._flush()
        return paths

    def _keep_image(self, data: bytes, suffix: str) -> Path:
        name = f"{hashlib.sha256(data).hexdigest()[:32]}{suffix.lower()}"
        path = self.folder / IMAGES / name
        if not path.is_file():
            path.write_bytes(data)
        return path

    def _flush(self) -> None:
        """Write the waiting rows as one row group; begin a new shard where one is full."""
        import pyarrow
        import pyarrow.parquet
        from datasets import Features, Image, List, Value

        if not self._group:
            return
        text = Value("string")
        schema = Features(
            {
                "images": List(Image()),
                "problem": text,
                "answer": text,
                "response": text,
                "source": text,
            }
        ).arrow_schema
        if self._parquet is None:
            shard = (self.num_rows - 1) // self.rows_per_shard
            path = self.folder / f"train-{shard:05d}.parquet"
            self._parquet = pyarrow.parquet.ParquetWriter(path, schema)
        self._parquet.write_table(pyarrow.Table.from_pylist(self._group, schema=schema))
        self._group = []
        if self.num_rows % self.rows_per_shard == 0:
            self._parquet.close()
            self._parquet = None


class OutcomeLog:
    """Outcomes on disk as they come, read back in the rows' order: only their places are in memory.

    Example:
        log = OutcomeLog(Path("outcomes.jsonl"), num_rows=100)
        log.add(5, '{"row": ...}')
        list(log.lines())
    """

    def __init__(self, path: Path, num_rows: int) -> None:
        from array import array

        self.path = path
        self._file = path.open("wb")
        self._places = array("q", [-1]) * num_rows

    def add(self, index: int, line: str) -> None:
        """Keep the line of row `index`."""
        self._places[index] = self._file.tell()
        self._file.write(line.encode() + b"\n")

    def lines(self) -> Iterator[str]:
        """All lines, in the rows' order."""
        self._file.flush()
        with self.path.open("rb") as file:
            for place in self._places:
                if place >= 0:
                    file.seek(place)
                    yield file.readline().decode().rstrip("\n")

    def missing(self) -> int:
        """Rows that no outcome came for."""
        return sum(place < 0 for place in self._places)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _info(file: str, column: str, asker: str, answerer: str) -> dict[str, Any]:
    return {
        "file_name": file,
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "images": column},
        "tags": {
            "role_tag": "from",
            "content_tag": "value",
            "user_tag": asker,
            "assistant_tag": answerer,
        },
    }
