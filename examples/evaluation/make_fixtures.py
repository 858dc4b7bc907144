"""Writes fixtures/: figure_math in the published schema of every benchmark, a few questions each, to try `vr1 eval` on.

    python examples/evaluation/make_fixtures.py [FOLDER]

NAME/ holds what the hub has (parquet, or MM-Math's JSONL with pictures), tsv/ the same as VLMEvalKit's TSVs.
"""

import base64
import csv
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # so that it runs from anywhere

from layouts import LAYOUTS, Item, item_of  # noqa: E402
from schemas import SCHEMAS  # noqa: E402

from vr1_ray.figure_math.dataset import random_items  # noqa: E402

NUM_ITEMS = 12
FILES = {
    "mathvista": "data/testmini-00000-of-00001.parquet",
    "mathverse": "testmini.parquet",
    "we_math": "data/testmini-00000-of-00001.parquet",
    "math_vision": "data/test-00000-of-00001.parquet",
    "geometry3k": "data/test-00000-of-00001.parquet",
    "mmstar": "mmstar.parquet",
    "chartqa": "data/test-00000-of-00001.parquet",
    "mme": "data/test-00000-of-00001.parquet",
}
TSVS = {
    "mathvista": "MathVista_MINI",
    "mathverse": "MathVerse_MINI",
    "mm_math": "MM-Math",
    "dynamath": "DynaMath",
    "we_math": "WeMath",
    "math_vision": "MathVision",
    "mmstar": "MMStar",
    "chartqa": "ChartQA_TEST",
    "mme": "MME",
    "hallusion_bench": "HallusionBench",
}


def items(number: int = NUM_ITEMS, seed: int = 7) -> list[Item]:
    """Questions of figure_math's held-out figures, with all kinds of answer among them."""
    drawn = random_items("test", seed, number)
    return [
        item_of(place, figure, question) for place, (figure, question, _) in enumerate(drawn, 1)
    ]


def write_parquet(path: Path, rows: list[dict[str, Any]], name: str) -> None:
    """One parquet file in the benchmark's schema; a column that is not in it is an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema(list(SCHEMAS[name].items()))
    assert all(set(row) == set(schema.names) for row in rows), name
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)


def write_published(folder: Path, found: list[Item]) -> None:
    """Every benchmark as its hub repository has it."""
    for name, file in FILES.items():
        write_parquet(folder / name / file, LAYOUTS[name](found), name)
    for variant in range(
        1, 11
    ):  # every variant is the same question here; the published ones differ
        path = folder / "dynamath" / "data" / f"sample{variant}-00000-of-00001.parquet"
        write_parquet(path, LAYOUTS["dynamath"](found[:4]), "dynamath")
    rows = LAYOUTS["hallusion_bench"](found)
    write_parquet(
        folder / "hallusion_bench/data/image-00000-of-00001.parquet", rows, "hallusion_bench"
    )
    blind = [row | blind_changes(row) for row in rows[:1]]
    write_parquet(
        folder / "hallusion_bench/data/non_image-00000-of-00001.parquet", blind, "hallusion_bench"
    )
    write_mm_math(folder / "mm_math", found)


def blind_changes(row: dict[str, Any]) -> dict[str, Any]:
    """What differs in a row without a picture (VS, figure 0)."""
    return {"category": "VS", "visual_input": "0", "filename": None, "image": None}


def write_mm_math(folder: Path, found: list[Item]) -> None:
    """A JSONL and a folder of pictures."""
    (folder / "MM_Math").mkdir(parents=True, exist_ok=True)
    rows = LAYOUTS["mm_math"](found)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "MM_Math.jsonl").write_text(lines, encoding="utf-8")
    by_name = {f"{item.number}.png": item for item in found}
    for row in rows:
        (folder / "MM_Math" / row["file_name"]).write_bytes(by_name[row["file_name"]].png)


def tsv_rows(name: str, found: list[Item]) -> list[dict[str, Any]]:
    """The columns that VLMEvalKit reads, all as text; a list or mapping as Python writes it."""
    rows = LAYOUTS[name](found)
    result = []
    for place, row in enumerate(rows):
        changed = {key: value for key, value in row.items() if not isinstance(value, dict | bytes)}
        item = _owner(row, found)
        changed |= TSV_CHANGES.get(name, lambda row, item, place: {})(row, item, place)
        changed["image"] = base64.b64encode(item.png).decode()
        changed.setdefault("index", place + 1)
        result.append({key: value for key, value in changed.items() if value is not None})
    return result


def _owner(row: dict[str, Any], found: list[Item]) -> Item:
    """The item a row was made of, by the picture it shows."""
    shown = row.get("decoded_image") or row.get("image_path") or row.get("image")
    path = shown["path"] if isinstance(shown, dict) else row["file_name"]
    return next(item for item in found if path == f"{item.number}.png")


TSV_CHANGES: dict[str, Any] = {
    "mathvista": lambda row, item, place: {
        "question": row["query"],
        "query": None,
        "task": row["metadata"]["task"],
        "skills": str(row["metadata"]["skills"]),
        "choices": str(row["choices"] or []),
        "answer_option": item.letter if row["choices"] else None,
    },
    "mathverse": lambda row, item, place: {
        "question": row["query_wo"],
        "query_wo": None,
        "query_cot": None,
        "metadata": str(row["metadata"]),
    },
    "mm_math": lambda row, item, place: {
        "answer": row["solution"],
        "solution": None,
        "difficulty": row["difficult"],
        "difficult": None,
        "knowledge_l1": row["knowledge"],
        "knowledge_l2": "Counting",
        "knowledge": None,
        "file_name": None,
    },
    "dynamath": lambda row, item, place: {
        "qid": row["id"],
        "varid": 1,
        "id": None,
        "answer": row["ground_truth"],
        "ground_truth": None,
    },
    "we_math": lambda row, item, place: {
        "option": None,
        **dict(zip("ABCDE", [*item.options, "No correct answer"], strict=False)),
    },
    "math_vision": lambda row, item, place: {
        "choices": str(row["options"]),
        "options": None,
        "category": row["subject"],
        "subject": None,
    },
    "mmstar": lambda row, item, place: {
        "question": item.text,
        **dict(zip("ABCD", item.options, strict=False)),
        "l2-category": row["l2_category"],
        "l2_category": None,
    },
    "chartqa": lambda row, item, place: {"split": row["type"], "type": None},
    "mme": lambda row, item, place: {"image_path": row["question_id"], "question_id": None},
    "hallusion_bench": lambda row, item, place: {
        "index": f"VD_figure_1_{row['set_id']}_0_0",
        "answer": item.answer.capitalize(),
        "l2-category": row["subcategory"],
        **dict.fromkeys(("gt_answer", "gt_answer_details", "subcategory", "set_id", "figure_id")),
        **dict.fromkeys(("question_id", "visual_input", "sample_note", "filename")),
    },
}


def write_tsv(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """A TSV with a header, quoted as pandas does."""
    rows = list(rows)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main(folder: Path) -> None:
    """Write all forms below `folder`."""
    found = items()
    write_published(folder, found)
    for name, file in TSVS.items():
        write_tsv(folder / "tsv" / f"{file}.tsv", tsv_rows(name, found))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "fixtures")
