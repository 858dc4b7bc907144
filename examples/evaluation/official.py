"""The rules of the published scorers, written anew from their descriptions, to set ours against (compare_official.py).

Each takes a row in the published columns and a response, and says whether the scorer counts it as right. Where the
scorer first lets a language model extract the answer (MathVista, MathVerse), the rule is given what the response
answers, as a model without mistakes would extract it.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from official_values import boxes, number, value

Row = Mapping[str, Any]


def mathvista(row: Row, extraction: str) -> bool:
    """A choice by its letter, else the text nearest to it; an integer truncated; a decimal rounded; equal as texts."""
    if row["question_type"] == "multi_choice":
        found = extraction.strip()
        if match := re.search(r"\(([a-zA-Z])\)", found):
            found = match[1].upper()
        choices = list(row["choices"])
        place = ord(found) - ord("A") if len(found) == 1 else -1
        if 0 <= place < len(choices):
            return choices[place] == row["answer"]
        distances = [_distance(found, choice) for choice in choices]
        return choices[distances.index(min(distances))] == row["answer"]
    kind = row["answer_type"]
    found_number = number(extraction)
    if kind == "list":
        return extraction == row["answer"]
    if found_number is None:
        return False
    if kind == "integer":
        return str(int(found_number)) == row["answer"]
    return str(round(found_number, int(row["precision"]))) == row["answer"]


def _distance(one: str, other: str) -> int:
    table = list(range(len(other) + 1))
    for i, sign in enumerate(one, 1):
        corner, table[0] = table[0], i
        for j, wanted in enumerate(other, 1):
            corner, table[j] = (
                table[j],
                min(table[j] + 1, table[j - 1] + 1, corner + (sign != wanted)),
            )
    return table[-1]


def mm_math(row: Row, response: str) -> bool:
    """AutoScoringJudge: all boxes (else the formulas of the last line), in any order, within 0.01, decimals as percent."""
    wanted, found = _extracted(str(row["solution"])), _extracted(response)
    if wanted is None or found is None:
        return False
    if wanted == found:
        return True
    wanted_items, found_items = _split(wanted), _split(found)
    if len(wanted_items) != len(found_items):
        return False
    for item in wanted_items:
        pair = next((other for other in found_items if _same(item, other)), None)
        if pair is None:
            return False
        found_items.remove(pair)
    return True


def _extracted(text: str) -> str | None:
    if "\\boxed{" in text:
        found = boxes(text)
        text = ",".join(found) if found is not None else ""
        if found is None:
            return None
    else:
        formulas = re.findall(r"\$([^$]*)\$", text.strip().split("\n")[-1])
        text = ",".join(formulas) if formulas else text
    for noise in ("\\text{cm}^2", "\\text{cm}", "\\,cm", "\\text{ cm}", "cm^{2}", "cm", "厘米", "\\left", "\\right",
                  "^\\circ", "^{\\circ}", "$", "\\,"):  # fmt: skip
        text = text.replace(noise, "")
    text = text.replace("，", ",").replace("（", "(").replace("）", ")")
    text = text.strip("\n ,.:;^_=+`!@#%&*~，。")
    if text.count("<") == 2:
        sides = text.split("<")
        text = f"({sides[0].strip()},{sides[2].strip()})"
    return text


def _split(text: str) -> list[str]:
    parts, depth, begin = [], 0, 0
    for place, sign in enumerate(text + ","):
        depth += (sign in "([") - (sign in ")]")
        if sign == "," and depth == 0:
            parts.append(text[begin:place].strip())
            begin = place + 1
    found: list[str] = []
    for part in filter(None, parts):
        found += [part.replace("\\pm", sign) for sign in "+-"] if "\\pm" in part else [part]
    return found


def _same(wanted: str, found: str) -> bool:
    if wanted and wanted == found:
        return True
    if all(text[:1] in "([" and text[-1:] in ")]" and text for text in (wanted, found)):
        unions = wanted.split("\\cup"), found.split("\\cup")
        return len(unions[0]) == len(unions[1]) and all(
            (one.strip()[0], one.strip()[-1]) == (other.strip()[0], other.strip()[-1])
            and all(map(_near, one.strip("[]() ").split(","), other.strip("[]() ").split(",")))
            for one, other in zip(*unions, strict=True)
        )
    numbers = number(wanted), number(found)
    if numbers[0] is not None and numbers[1] is not None:
        forms = (numbers[0] / 100, numbers[0], numbers[0] * 100)
        if any(abs(form - numbers[1]) <= 0.01 * 1.01 for form in forms):
            return True
    if "=" in wanted and "=" in found:
        left = [
            value(text.split("=")[0] + "-(" + text.split("=")[1] + ")") for text in (wanted, found)
        ]
        if left[0] is None or not left[1]:
            return False
        ratio = left[0] / left[1]
        return any(
            abs(x - round(x)) < 1e-6 and round(x) for x in (ratio, 1 / ratio if ratio else 0.0)
        )
    return _near(wanted.split("=", 1)[-1], found.split("=", 1)[-1])


def _near(wanted: str, found: str) -> bool:
    values = value(wanted), value(found)
    if values[0] is None or values[1] is None:
        return False
    has_letters = [
        bool(re.search(r"(?<![a-z\\])[xyab](?![a-z])", text)) for text in (wanted, found)
    ]
    if has_letters[0] != has_letters[1]:
        return False
    return values[0] == values[1] or abs(values[0] - values[1]) <= (
        1e-3 if has_letters[0] else 0.0101
    )


def dynamath(row: Row, response: str) -> bool:
    """The `short answer` of a JSON answer: within 0.001; the letter; the reference in the answer."""
    begin, end = response.find("{"), response.rfind("}")
    try:
        answer = str(json.loads(response[begin : end + 1].replace("\\", ""))["short answer"])
    except (ValueError, KeyError, TypeError):
        answer = response.strip().split("\n")[-1][:-1]
    gold, kind = row["ground_truth"], row["answer_type"]
    if kind == "float":
        first = answer.split(" ")[0]
        times = math.pi if first.endswith("π") else 1.0
        found = number(first.removesuffix("π"))
        return found is not None and abs(found * times - float(gold)) <= 0.001
    if kind == "multiple choice":
        return answer == gold if len(answer) == 1 else gold in answer[:3]
    return gold.lower() in answer.lower()


def we_math(row: Row, response: str) -> bool:
    """The first sign after the last "Answer", signs of the template left out."""
    text = response.split("Answer")[-1].strip()
    for sign in "><:.":
        text = text.replace(sign, "")
    return text.strip()[:1] == row["answer"] and row["answer"] in "ABCDEFGH"


def math_vision(row: Row, response: str) -> bool:
    """The box, else what follows "the answer is"; the letter or the option's text; numbers to two decimals."""
    text = response
    if "oxed{" not in text:
        for mark in (
            "the final answer is",
            "the answer is",
            "the correct answer is",
            "the answer should be",
        ):
            text = re.split(mark, text, flags=re.IGNORECASE)[-1].strip()
        text = text.split("\n")[0].split(". ")[0].strip().rstrip(".")
    else:
        text = (boxes(text) or [""])[-1]
    found = _plain(text)
    options = row["options"]
    golds = [row["answer"]]
    if options:
        golds.append(options["ABCDE".index(row["answer"])])
    return any(_equal(found, _plain(gold)) for gold in golds)


def _plain(text: str) -> str:
    text = text.lower().split("=")[-1].split("\\approx")[-1]
    text = re.sub(
        r"\\text\{[^{}]*\}|\\,|\$|\\%|%|degrees?|°|\^\{?\\circ\}?|units?\b|\b[ck]?m\b", "", text
    )
    return (
        text.strip().strip("().").strip()
        if re.fullmatch(r"\s*\(?[a-e]\)?\.?\s*", text)
        else text.strip()
    )


def _equal(found: str, wanted: str) -> bool:
    if found == wanted and found:
        return True
    values = value(found), value(wanted)
    is_letter = re.fullmatch(r"[a-z]", found) or re.fullmatch(r"[a-z]", wanted)
    return (
        not is_letter
        and None not in values
        and round(values[0] or 0, 2) == round(values[1] or 0, 2)
    )


def geometry3k(row: Row, response: str) -> bool:
    """The last box: the same text without blanks, or exactly the same value."""
    found = (boxes(response) or [""])[-1]
    wanted = str(row["answer"])
    if found and re.sub(r"\s", "", found) == re.sub(r"\s", "", wanted):
        return True
    values = value(found), value(wanted)
    return None not in values and math.isclose(values[0] or 0, values[1] or 0, rel_tol=1e-9)


def mmstar(row: Row, response: str) -> bool:
    """The letter as the first sign, after "(", or after "option " or "the answer is "."""
    text, letter = response.strip().lower(), str(row["answer"]).lower()
    if not text:
        return False
    if text[0] == letter or (text[0] == "(" and text[1:2] == letter):
        return True
    marked = re.search(r"(?:option |the answer is )\(?([a-d])\b", text)
    return marked is not None and marked[1] == letter


def chartqa(row: Row, response: str) -> bool:
    """Relaxed accuracy on the response as it stands; the texts of all else, case apart."""
    numbers = []
    for text in (response.strip(), str(row["answer"])):
        is_percent = text.endswith("%")
        found = number(text[:-1] if is_percent else text)
        numbers.append(found / 100 if found is not None and is_percent else found)
    if numbers[0] is not None and numbers[1]:
        return abs(numbers[0] - numbers[1]) / abs(numbers[1]) <= 0.05
    return response.strip().lower() == str(row["answer"]).lower()


def mme(row: Row, response: str) -> bool:
    """lmms-eval's rule: yes, else no, among the first four signs."""
    text = response.lower().strip().replace(".", "")
    found = "yes" if "yes" in text[:4] else "no" if "no" in text[:4] else text
    return {"y": "yes", "n": "no"}.get(found, found) == str(row["answer"]).lower()


def hallusion_bench(row: Row, response: str) -> bool:
    """VLMEvalKit's rule: yes without no, or no without yes."""
    words = re.sub(r"[^\w\s]", " ", response.lower()).split()
    if ("yes" in words) == ("no" in words):
        return False
    return ("yes" in words) == (row["gt_answer"] == "1")
