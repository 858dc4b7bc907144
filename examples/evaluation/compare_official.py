"""Sets our honest rules beside the published scorers' (official.py) and names every difference by its kind.

    python examples/evaluation/compare_official.py        # the table of README.md
    python examples/evaluation/compare_official.py -v     # and each difference

`QUIRKS` says of each difference why it is there; one that no quirk explains is a fault, and the table says so.
"""

import io
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # so that it runs from anywhere

import official  # noqa: E402
from official_cases import CASES  # noqa: E402
from PIL import Image  # noqa: E402

from vr1_ray.data.images import ImageReader  # noqa: E402
from vr1_ray.evaluation import find_answer, make_benchmark  # noqa: E402
from vr1_ray.evaluation.base import Verdict  # noqa: E402
from vr1_ray.evaluation.rows import Row  # noqa: E402

UNEXPLAINED = "unexplained"
_png = io.BytesIO()
Image.new("RGB", (2, 2)).save(_png, "PNG")
PICTURE = _png.getvalue()


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One response on which the two disagree, and the quirk that explains it."""

    row: dict[str, Any]
    response: str
    said: str
    ours: Verdict
    quirk: str


def ours(name: str, row: dict[str, Any], response: str) -> Verdict:
    """The verdict of our honest rules on a response to a row."""
    columns = dict(row)
    if name == "mm_math":  # its picture is a file
        columns["image"] = PICTURE
    reader = ImageReader(None, 1_000_000)
    benchmark = make_benchmark(name)
    question = benchmark.question(Row(columns, reader, table="row", number=0))
    return benchmark.check(question, find_answer(response))


def theirs(name: str, row: dict[str, Any], response: str, said: str) -> bool:
    """The verdict of the published scorer; of MathVerse the label that its judge's instruction makes."""
    if name == "mathverse":
        return bool(row["is_consistent"])
    return bool(getattr(official, name)(row, said if name == "mathvista" else response))


def compare(name: str) -> tuple[int, list[Difference]]:
    """(responses, differences) of one benchmark."""
    number, found = 0, []
    for row, response, said in CASES[name]():
        number += 1
        verdict = ours(name, row, response)
        if verdict.is_correct != theirs(name, row, response, said):
            quirk = next(
                (text for text, fits in QUIRKS.get(name, ()) if fits(row, said, response, verdict)),
                UNEXPLAINED,
            )
            found.append(
                Difference(row=row, response=response, said=said, ours=verdict, quirk=quirk)
            )
    return number, found


Fits = Callable[[dict[str, Any], str, str, Verdict], bool]


def _rule(*rules: str) -> Fits:
    return lambda row, said, response, verdict: verdict.rule in rules and verdict.is_correct


_TEXT_OF_OPTION = ("option text, the same", "option text, the same value")
QUIRKS: dict[str, tuple[tuple[str, Fits], ...]] = {
    "mathvista": (
        ("a letter with a full stop (its rule takes the nearest text)", _rule("option letter")),
        (
            "a number in words (its extractor writes digits)",
            lambda row, said, response, v: said.isalpha() and v.is_correct,
        ),
        (
            "more than a third of an option misspelt: nothing is guessed, a judge is asked",
            lambda row, said, response, v: v.rule == "names no option",
        ),
    ),
    "mathverse": (
        (
            "other words of the same meaning: undecided, a judge is asked",
            lambda row, said, response, v: not v.is_decided,
        ),
    ),
    "dynamath": (
        ("a small letter", lambda row, said, response, v: said.islower() and v.is_correct),
    ),
    "we_math": (
        (
            "a letter in brackets (it reads the first sign)",
            lambda row, said, response, v: ">: <<(" in response,
        ),
        ("the text of the option in place of its letter", _rule(*_TEXT_OF_OPTION)),
    ),
    "geometry3k": (
        (
            "a name or a unit beside the value",
            lambda row, said, response, v: "=" in said or "°" in said or "circ" in said,
        ),
        (
            "more digits than a decimal reference has",
            lambda row, said, response, v: "." in str(row["answer"]),
        ),
    ),
    "mmstar": (
        ("the text of the option in place of its letter", _rule(*_TEXT_OF_OPTION)),
        (
            'the text of another option that begins with the right letter ("dog" is D to it)',
            lambda row, said, response, v: not v.is_correct,
        ),
        ("another sentence or an answer block around the letter", _rule("option letter")),
    ),
    "mme": (
        ("yes or no after the first four signs", lambda row, said, response, v: v.is_correct),
        ("a word that begins with no, or both", lambda row, said, response, v: not v.is_correct),
    ),
    "chartqa": (
        (
            "an answer block (it compares the whole response)",
            lambda row, said, response, v: "<answer>" in response,
        ),
        (
            "one item of a list (VLMEvalKit's rule)",
            lambda row, said, response, v: str(row["answer"]).startswith("[2"),
        ),
        (
            "a unit, a number in words, a comma of thousands",
            _rule("within 5 %, unit dropped", "within 5 %"),
        ),
    ),
}


def table() -> str:
    """The table of README.md."""
    lines = ["| benchmark | responses | agree | differ, and why |", "|---|---|---|---|"]
    for name in CASES:
        number, found = compare(name)
        counts = Counter((one.quirk, one.ours.is_correct) for one in found)
        why = "; ".join(
            f"{count} {'right' if is_right else 'wrong'} with us: {quirk}"
            for (quirk, is_right), count in counts.most_common()
        )
        lines.append(f"| `{name}` | {number} | {number - len(found)} | {why or '-'} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
    for name in CASES if "-v" in sys.argv else ():
        for one in compare(name)[1]:
            said = one.response.strip()[-60:]
            print(f"{name} | {one.quirk} | {said!r} | ours {one.ours.is_correct}, {one.ours.rule}")
