"""MM-Math: LaTeX answers, scored by its own rules (AutoScoringJudge) over our reader of numbers and expressions.

Its rules: all boxed answers count, units are ignored, a number is right within 0.01 (times 1.01), also as g/100 or
100 g where both are written as decimals and g is the reference (percent), the ends of intervals and the coordinates of
points within 0.01 too, items of a list pair up in any order. Numbers and expressions are
read by our checker, not by sympy: a difference of the two protocols to the published script, which says so.
"""

import re
from typing import ClassVar

from vr1_ray.answers import answers_match
from vr1_ray.answers.reading import split_top
from vr1_ray.data.refusals import DataError
from vr1_ray.evaluation.base import Benchmark, Check, Question, Verdict
from vr1_ray.evaluation.extraction import Answer, number_of
from vr1_ray.evaluation.rows import Row
from vr1_ray.types import EncodedImage

TOLERANCE = 1e-2 * 1.01
FOLDERS = ("MM_Math", "Image", "images", "image")  # where the archive may be unpacked
KNOWLEDGE = ("Functions", "Transformations of Shapes", "Properties of Shapes")
_UNITS = re.compile(
    r"\\text\{\s*(?:cm|分米|米|m)\s*\}(?:\^\{?2\}?)?|\\mathrm\{cm\}(?:\^\{?2\}?)?|(?<![A-Za-z])cm(?:\^\{?2\}?)?|厘米"
)
_NOISE = re.compile(r"\\left|\\right|\\,|\\ |\$|\^\\circ|\^\{\\circ\}|°")
_WRAPPED = re.compile(r"^\\(?:mathrm|mathbf)\{(.*)\}$")
_RANGE = re.compile(r"[(\[].*[)\]]", re.DOTALL)
_BETWEEN = re.compile(r"([^<]+)<[^<]+<([^<]+)")
_DECIMAL = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)")
_EDGES = "\n ,.:;^_=+`!@#%&*~，。"


class MMMath(Benchmark):
    """5,929 problems of Chinese middle schools, in English."""

    name = "mm_math"
    hub, split, size = "", "MM_Math", 5929
    files = ("MM_Math.jsonl", "MM-Math.tsv")
    schema_source = (
        "hub card of THU-KEG/MM_Math and kge-sun/MM-Math @ a8072fc; TSV columns as read by VLMEvalKit's "
        "dataset/mmmath.py; spelling of the values of year and difficult, and the form of file_name, unconfirmed"
    )
    main_labels: ClassVar[tuple[str, ...]] = ()

    def question(self, row: Row) -> Question:
        solution = row.text("answer", "solution")
        knowledge = row.text("knowledge", default="")
        labels = [
            row.text("difficulty", "difficult", default=""),
            row.text("year", default=""),
            row.text("knowledge_l1", default=""),
            *(name for name in KNOWLEDGE if name in knowledge),
        ]
        return self.make_question(
            row,
            question_id=row.text("index", default=str(row.number)),
            text=row.text("question"),
            answer=solution,
            images=row.images("image") or _named_image(row),
            labels=tuple(label for label in labels if label),
        )

    def check(self, question: Question, answer: Answer) -> Verdict:
        if not answer.text:
            return Verdict(is_correct=False, rule=answer.how, is_decided=answer.is_final)
        boxes = "".join(f"\\boxed{{{content}}}" for content in answer.boxes)
        found = judge(question.answer, boxes or answer.text)
        return Verdict(
            is_correct=found != "different",
            rule=f"AutoScoringJudge: {found}",
            extracted=answer.text,
        )

    def is_asked_with_judge(self) -> bool:
        return False

    def paper_check(self, question: Question, prediction: str) -> Check:
        found = judge(question.answer, prediction)
        return Verdict(
            is_correct=found != "different",
            rule=f"harness: AutoScoringJudge: {found}",
            extracted=extract(prediction),
        )
        yield  # a check is a generator; this one asks nothing


def _named_image(row: Row) -> tuple[EncodedImage, ...]:
    """The picture of a row: beside the file, or up to two folders deeper than the file or its folder."""
    name, root = row.text("file_name"), row.reader.root
    for above in (root, root.parent) if root is not None and ".." not in name else ():
        folders = [above, *(above / one for one in FOLDERS)]
        folders += [outer / inner for outer in folders[1:] for inner in FOLDERS]
        for path in (folder / name for folder in folders):
            if path.is_file():
                return (row.reader.of_file(path, name),)
    raise DataError(f"file_name: {name!r} is in none of {', '.join(FOLDERS)} beside the file")


def judge(reference: str, prediction: str) -> str:
    """How a prediction agrees with a reference, or "different". Both may be whole solutions."""
    wanted, found = clean(extract(reference)), clean(extract(prediction))
    if wanted == found and wanted:
        return "same text"
    wanted_items, found_items = _items(wanted), _items(found)
    if len(wanted_items) != len(found_items) or not wanted_items:
        return "different"
    how = ""
    for item in wanted_items:
        matches = [(other, pair) for other in found_items if (pair := _pair(item, other))]
        if not matches:
            return "different"
        found_items.remove(matches[0][0])
        how = how or matches[0][1]
    return how


def extract(text: str) -> str:
    """All boxed contents, else all `$...$` of the last line, else the whole text; unbalanced braces give ""."""
    if "\\boxed{" in text:
        contents = [_braced(text, found.end()) for found in re.finditer(r"\\boxed\{", text)]
        return "" if None in contents else ",".join(str(content) for content in contents)
    last = text.strip().split("\n")[-1]
    formulas = re.findall(r"\$([^$]+)\$", last)
    return ",".join(formulas) if formulas else text.strip()


def _braced(text: str, start: int) -> str | None:
    depth = 1
    for position in range(start, len(text)):
        depth += (text[position] == "{") - (text[position] == "}")
        if depth == 0:
            return text[start:position]
    return None


def clean(text: str) -> str:
    """Without units, LaTeX noise and signs at the ends."""
    text = _NOISE.sub("", _UNITS.sub("", text))
    text = text.replace("，", ",").replace("（", "(").replace("）", ")").replace("＋", "+")
    if "\\in " in text:
        text = text.split("\\in ", 1)[1]
    text = text.strip(_EDGES)
    if len(text) > 1 and text.endswith("m") and text[:-1].strip()[-1:].isdigit():
        text = text[:-1]
    if between := _BETWEEN.fullmatch(text):
        text = f"({between[1].strip()},{between[2].strip()})"
    wrapped = _WRAPPED.match(text)
    text = wrapped[1] if wrapped else text
    without_chinese = re.sub(r"[\u4e00-\u9fff]+", "", text)
    return (without_chinese or text).strip(_EDGES)


def _items(text: str) -> list[str]:
    parts = [part for part in split_top(text, re.compile(r",")) if part]
    found: list[str] = []
    for part in parts:
        if "\\pm" in part:
            found += [part.replace("\\pm", "+", 1), part.replace("\\pm", "-", 1)]
        else:
            found.append(part)
    return found


def _pair(wanted: str, found: str) -> str:
    """How two items agree; "" if they do not."""
    if wanted == found:
        return "same text"
    if "=" in wanted and "=" in found:
        sides = wanted.rsplit("=", 1)[1], found.rsplit("=", 1)[1]
        if (
            _numbers_agree(*sides)
            and wanted.rsplit("=", 1)[0].strip() == found.rsplit("=", 1)[0].strip()
        ):
            return "number within 0.01"
        return "equation" if answers_match(found, wanted) else ""
    if interval := _ranges_agree(wanted, found):
        return "" if interval == "different" else interval
    wanted, found = wanted.split("=", 1)[-1], found.split("=", 1)[-1]
    if how := _numbers_agree(wanted, found):
        return how
    return "expression" if answers_match(found, wanted) else ""


def _numbers_agree(wanted: str, found: str) -> str:
    numbers = number_of(wanted), number_of(found)
    if numbers[0] is None or numbers[1] is None:
        return ""
    reference, value = float(numbers[0]), float(numbers[1])
    if abs(value - reference) <= TOLERANCE:
        return "number within 0.01"
    is_decimal = all(_DECIMAL.fullmatch(text.strip()) for text in (wanted, found))
    is_percent = is_decimal and any(
        abs(value - other) <= TOLERANCE for other in (reference / 100, reference * 100)
    )
    return "number as percent" if is_percent else ""


def _ranges_agree(wanted: str, found: str) -> str:
    """How two intervals, unions or points agree, end by end and within 0.01; "different", or "" if one is none."""
    unions = [[part.strip() for part in text.split("\\cup")] for text in (wanted, found)]
    if not all(_RANGE.fullmatch(part) for union in unions for part in union):
        return ""
    if len(unions[0]) != len(unions[1]):
        return "different"
    for one, other in zip(*unions, strict=True):
        ends = [split_top(text[1:-1], re.compile(r",")) for text in (one, other)]
        has_same_form = (one[0], one[-1]) == (other[0], other[-1]) and len(ends[0]) == len(ends[1])
        if not has_same_form or not all(map(_same_end, *ends)):
            return "different"
    return "same ends"


def _same_end(wanted: str, found: str) -> bool:
    numbers = number_of(wanted), number_of(found)
    if numbers[0] is not None and numbers[1] is not None:
        return abs(float(numbers[0]) - float(numbers[1])) <= TOLERANCE
    return answers_match(found, wanted)
