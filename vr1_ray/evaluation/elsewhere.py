"""Responses made elsewhere, as files: our own, VLMEvalKit's predictions, or any table with an id and a text.

`eval.responses` is a file (of one benchmark, or with a column `benchmark`) or a folder with a file per benchmark,
named after it. JSONL, JSON, TSV or parquet; a row says which question it answers, and what was said:

    {"question_id": "225", "response": "<think> ...", "sample": 0, "is_cut": false}
    index <tab> prediction                                     VLMEvalKit's, as a TSV
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vr1_ray.data.refusals import DataError
from vr1_ray.evaluation.base import Question
from vr1_ray.evaluation.responses import Response
from vr1_ray.evaluation.rows import is_empty
from vr1_ray.evaluation.sources import SUFFIXES, file_rows
from vr1_ray.wording import counted

FIELD = "eval.responses"
IDS = ("question_id", "index", "id", "pid", "sample_index")
TEXTS = ("response", "prediction")
_ENDINGS = tuple(ending + suffix for suffix in SUFFIXES for ending in (".responses", ""))


def digest(path: Path) -> str:
    """A hash of the file, or of all files of the folder: what is scored can't change unseen."""
    files = [path] if path.is_file() else sorted(one for one in path.glob("*") if one.is_file())
    content = hashlib.sha256()
    for file in files:
        content.update(file.name.encode() + file.read_bytes())
    return content.hexdigest()[:16]


def read_elsewhere(path: Path, benchmark: str, questions: Sequence[Question]) -> list[Response]:
    """The responses to these questions. Raises DataError naming the file, the row or the questions without one.

    Example:
        read_elsewhere(Path("mathvista.jsonl"), "mathvista", selection.questions)
    """
    file = _file_of(path, benchmark)
    wanted = {question.question_id for question in questions}
    found: dict[str, list[Response]] = defaultdict(list)
    others: list[str] = []
    for number, row in enumerate(file_rows(file, FIELD)):
        if not isinstance(row, dict):
            why = getattr(row, "reason", "is no row of columns")
            raise DataError(f"{FIELD}: {file}, row {number}: {why}; mend the file")
        if str(row.get("benchmark", benchmark)) not in (benchmark, ""):
            continue
        name = _cell(row, IDS, file, number)
        if name not in wanted:
            others.append(name)
            continue
        sample = _count(row, "sample", 0, file, number) or len(found[name])
        found[name].append(_response(row, name, sample, file, number))
    missing = sorted(wanted - set(found))
    if missing:
        known = f"; the file has {', '.join(others[:3])} ..." if others else ""
        raise DataError(
            f"{FIELD}: {file} has no response to {len(missing)} of {counted(len(wanted), 'question')} of {benchmark} "
            f"({', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}){known}; give them, or ask fewer with "
            "eval.max_questions or a part (benchmarks=[NAME/PART])"
        )
    counts = {len(responses) for responses in found.values()}
    if len(counts) > 1:
        few = min(found, key=lambda name: len(found[name]))
        raise DataError(
            f"{FIELD}: {file} has {sorted(counts)} responses a question, {few!r} the fewest; give as many to each"
        )
    return [response for name in found for response in found[name]]


def _file_of(path: Path, benchmark: str) -> Path:
    if path.is_file():
        return path
    names = [benchmark + ending for ending in _ENDINGS]
    file = next((path / name for name in names if (path / name).is_file()), None)
    if file is None:
        raise DataError(
            f"{FIELD}: {path} is no file and has none of {', '.join(names[:4])} ...; name the file that holds the responses"
        )
    return file


def _cell(row: dict[str, Any], names: tuple[str, ...], file: Path, number: int) -> str:
    value = next((row[name] for name in names if not is_empty(row.get(name))), None)
    if value is None:
        raise DataError(
            f"{FIELD}: {file}, row {number}: has none of {', '.join(names)} (columns: {', '.join(map(str, row))})"
        )
    return str(value)


def _count(row: dict[str, Any], name: str, default: int, file: Path, number: int) -> int:
    value: Any = row.get(name)
    try:
        return default if is_empty(value) else int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{FIELD}: {file}, row {number}: {name} is {value!r:.60}; give a whole number, or leave it out"
        ) from error


def _response(row: dict[str, Any], name: str, sample: int, file: Path, number: int) -> Response:
    texts = [row[column] for column in TEXTS if column in row]
    if not texts:
        _cell(row, TEXTS, file, number)
    return Response(
        question_id=name,
        sample=sample,
        response="" if is_empty(texts[0]) else str(texts[0]),
        tokens=_count(row, "tokens", 0, file, number),
        is_cut=str(row.get("is_cut", "")).lower() == "true" or row.get("finish_reason") == "length",
        times_asked=_count(row, "times_asked", 1, file, number),
    )
