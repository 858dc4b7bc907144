"""Rows of `figure_math` in the published schema of every benchmark: same column names and types, content of ours.

Each benchmark's module in vr1_ray/evaluation says where its schema was read (`schema_source`) and what of it could not
be confirmed. Nothing of the published data is here. Options are given as letter and text where a schema has
them; a numeric question of figure_math without options gets three near numbers.
"""

import io
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from vr1_ray.figure_math.drawing import Figure, draw
from vr1_ray.figure_math.questions import LETTERS, Question, solve

VERSIONS = ("Text Dominant", "Text Lite", "Vision Intensive", "Vision Dominant", "Vision Only")
SUBJECT = {"rectangle": "Plane Geometry", "bar_chart": "Functions"}


@dataclass(frozen=True, kw_only=True)
class Item:
    """One question of figure_math, in the parts that schemas ask for.

    Example:
        Item(number=1, png=png, text="How many circles are there?", family="count", answer="3",
             choices=("1", "3", "4", "5"))
    """

    number: int
    png: bytes
    text: str  # without options
    family: str
    answer: str  # the value, never a letter
    choices: tuple[str, ...] = ()  # as offered; () if none were

    @property
    def options(self) -> tuple[str, ...]:
        """Four options, the answer among them; of yes and no these two."""
        if self.choices:
            return self.choices
        if self.answer in ("yes", "no"):
            return ("yes", "no")
        if not self.answer.isdigit():
            others = [word for word in ("red", "green", "blue", "yellow") if word != self.answer]
            return (self.answer, *others)
        rng = Random(self.number)
        near = [
            n
            for n in range(max(0, int(self.answer) - 4), int(self.answer) + 5)
            if str(n) != self.answer
        ]
        options = [self.answer, *(str(n) for n in rng.sample(near, 3))]
        rng.shuffle(options)
        return tuple(options)

    @property
    def letter(self) -> str:
        """The letter of the answer among `options`."""
        return LETTERS[self.options.index(self.answer)]

    @property
    def is_number(self) -> bool:
        """Whether the answer is a number."""
        return self.answer.isdigit()


def item_of(number: int, figure: Figure, question: Question) -> Item:
    """An item of what figure_math draws and asks."""
    plain = replace(question, choices=())
    buffer = io.BytesIO()
    draw(figure).save(buffer, format="PNG")
    return Item(
        number=number,
        png=buffer.getvalue(),
        text=plain.text,
        family=plain.family,
        answer=solve(plain, figure),
        choices=question.choices,
    )


def item_of_row(number: int, row: dict[str, Any], png: bytes) -> Item:
    """An item of a saved row: of figure_math's parquet, or of an evaluation of it."""
    text = (row.get("question") or row["problem"]).replace("<image>", "")
    text, _, offered = text.partition(" Choices: ")
    choices = tuple(choice for choice, _ in re.findall(r"(\S+) \(([A-D])\)", offered))
    answer = choices[LETTERS.index(row["answer"])] if choices else row["answer"]
    family = row.get("family") or row.get("metadata", {}).get("family", "")
    return Item(number=number, png=png, text=text, family=family, answer=answer, choices=choices)


def picture(item: Item) -> dict[str, Any]:
    """The Image feature's struct."""
    return {"bytes": item.png, "path": f"{item.number}.png"}


def mathvista(items: Iterable[Item]) -> list[dict[str, Any]]:
    """Options where the item has some or answers with a word; else an integer."""
    rows = []
    for item in items:
        has_choices = bool(item.choices) or not item.is_number
        hint = (
            "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the end."
            if has_choices
            else "Hint: Please answer the question requiring an integer answer and provide the final value, e.g., 1, "
            "2, 3, at the end."
        )
        offered = "".join(f"\n({x}) {text}" for x, text in zip(LETTERS, item.options, strict=False))
        query = f"{hint}\nQuestion: {item.text}" + (f"\nChoices:{offered}" if has_choices else "")
        is_geometry = item.family == "rectangle"
        rows.append({
            "pid": str(item.number), "question": item.text, "image": f"images/{item.number}.png",
            "decoded_image": picture(item), "choices": list(item.options) if has_choices else None, "unit": None,
            "precision": None, "answer": item.answer,
            "question_type": "multi_choice" if has_choices else "free_form",
            "answer_type": "text" if has_choices else "integer",
            "metadata": {
                "category": "math-targeted-vqa", "context": "geometry diagram" if is_geometry else "bar chart",
                "grade": "elementary school", "img_height": 84, "img_width": 84, "language": "english",
                "skills": ["geometry reasoning" if is_geometry else "arithmetic reasoning"],
                "source": "figure_math", "split": "testmini",
                "task": "geometry problem solving" if is_geometry else "figure question answering",
            },
            "query": query,
        })  # fmt: skip
    return rows


def mathverse(items: Iterable[Item]) -> list[dict[str, Any]]:
    """Each item in all five versions."""
    rows = []
    for item in items:
        has_choices = bool(item.choices)
        offered = "".join(f"\n{x}:{text}" for x, text in zip(LETTERS, item.options, strict=False))
        full = item.text + (f"\nChoices:{offered}" if has_choices else "")
        wanted = (
            "provide the correct option letter, e.g., A, B, C, D"
            if has_choices
            else "provide the final value, e.g., 1, 2.5, 300"
        )
        for version in VERSIONS:
            is_seen = version == "Vision Only"
            lead = "According to the question shown in the image, please" if is_seen else "Please"
            shown = "" if is_seen else f"\nQuestion: {full}"
            rows.append({
                "sample_index": str(5 * item.number + VERSIONS.index(version)), "problem_index": str(item.number),
                "problem_version": version, "question": "" if is_seen else full, "image": picture(item),
                "answer": item.letter if has_choices else item.answer,
                "question_type": "multi-choice" if has_choices else "free-form",
                "metadata": {"split": "testmini", "source": "figure_math",
                             "subject": SUBJECT.get(item.family, "Solid Geometry"), "subfield": "Length"},
                "query_wo": f"{lead} directly answer the question and {wanted}.{shown}",
                "query_cot": f"{lead} first conduct reasoning, and then answer the question and {wanted}, at the end."
                             f"{shown}",
                "question_for_eval": full,
            })  # fmt: skip
    return rows


def mm_math(items: Iterable[Item]) -> list[dict[str, Any]]:
    """Columns of MM_Math.jsonl; the pictures lie in MM_Math/. Numbers asked for without options."""
    return [
        {
            "question": item.text, "file_name": f"{item.number}.png",
            "solution": f"We read the figure. The answer is $\\boxed{{{item.answer}}}$.", "year": "Seven",
            "difficult": "Easy", "knowledge": "Properties of Shapes",
        }
        for item in items if item.is_number and not item.choices
    ]  # fmt: skip


def dynamath(items: Iterable[Item]) -> list[dict[str, Any]]:
    """One variant; numbers are of type float, as most of the published ones."""
    rows = []
    for item in items:
        offered = " ".join(f"({x}) {text}" for x, text in zip(LETTERS, item.options, strict=False))
        kind = "multiple choice" if item.choices else "float" if item.is_number else "text"
        rows.append({
            "id": str(item.number), "question": item.text + (f" Choices: {offered}" if item.choices else ""),
            "image": f"image/image{item.number}.png", "decoded_image": picture(item),
            "ground_truth": item.letter if item.choices else item.answer, "answer_type": kind,
            "subject": "plane geometry" if item.family == "rectangle" else "statistics",
            "knowledge_level": "elementary school",
        })  # fmt: skip
    return rows


def we_math(items: Iterable[Item]) -> list[dict[str, Any]]:
    """Three questions make one composite problem of two steps."""
    rows = []
    for place, item in enumerate(items):
        offered = [*item.options, "No correct answer"]
        step = ("1", "2", "multi")[place % 3]
        option = "; ".join(f"{x}. {text}" for x, text in zip("ABCDE", offered, strict=False))
        rows.append({
            "ID": f"2steps_{place // 3 + 1}", "split": "testmini", "knowledge concept": "Reading of Figures",
            "question": item.text, "option": option, "answer": item.letter, "image_path": picture(item),
            "key": f"2steps_{step}", "question number": item.number,
            "knowledge concept description": "Counting what a figure shows.",
        })  # fmt: skip
    return rows


def math_vision(items: Iterable[Item]) -> list[dict[str, Any]]:
    """Options only where the item has some."""
    return [
        {
            "id": str(item.number), "question": f"{item.text}\n<image1>", "options": list(item.choices),
            "image": f"images/{item.number}.png", "decoded_image": picture(item),
            "answer": item.letter if item.choices else item.answer, "solution": None, "level": 1,
            "subject": "counting",
        }
        for item in items
    ]  # fmt: skip


def geometry3k(items: Iterable[Item]) -> list[dict[str, Any]]:
    """The six-column form, of items without options: the policy is not shown the ones here."""
    return [
        {
            "images": [picture(item)], "problem": f"<image>{item.text}", "answer": item.answer, "id": item.number,
            "choices": list(item.options), "ground_truth": item.letter,
        }
        for item in items if len(item.options) == 4 and not item.choices
    ]  # fmt: skip


def mmstar(items: Iterable[Item]) -> list[dict[str, Any]]:
    """Always options, in the question."""
    rows = []
    for item in items:
        offered = ", ".join(f"{x}: {text}" for x, text in zip(LETTERS, item.options, strict=False))
        rows.append({
            "index": item.number, "question": f"{item.text}\nOptions: {offered}", "image": picture(item),
            "answer": item.letter, "category": "math", "l2_category": "numeric commonsense and calculation",
            "meta_info": {"source": "figure_math", "split": "val", "image_path": f"{item.number}.png"},
        })  # fmt: skip
    return rows


def chartqa(items: Iterable[Item]) -> list[dict[str, Any]]:
    """Items without options: a letter would have nothing to stand for."""
    return [
        {
            "type": "human_test", "question": item.text, "answer": item.answer.capitalize(), "image": picture(item),
        }
        for item in items if not item.choices
    ]  # fmt: skip


def hallusion_bench(items: Iterable[Item]) -> list[dict[str, Any]]:
    """Items that ask for yes or no, each a set and figure of its own."""
    return [
        {
            "category": "VD", "subcategory": "figure", "visual_input": "1", "set_id": str(item.number),
            "figure_id": "0", "sample_note": "figure", "question_id": "0", "question": item.text,
            "gt_answer_details": f"The answer is {item.answer}.", "gt_answer": "1" if item.answer == "yes" else "0",
            "filename": f"./VD/figure/{item.number}.png", "image": picture(item),
        }
        for item in items if item.answer in ("yes", "no")
    ]  # fmt: skip


def mme(items: Iterable[Item]) -> list[dict[str, Any]]:
    """Items that ask for yes or no, each asked a second time the other way round."""
    rows = []
    for item in items:
        if item.answer not in ("yes", "no"):
            continue
        other = {"yes": "No", "no": "Yes"}[item.answer]
        asked = (
            (item.text, item.answer.capitalize()),
            (f'Is "{item.text}" answered by no?', other),
        )
        rows += [
            {
                "question_id": f"existence/{item.number}.png", "image": picture(item), "category": "existence",
                "question": f"{text} Please answer yes or no.", "answer": answer,
            }
            for text, answer in asked
        ]  # fmt: skip
    return rows


LAYOUTS: dict[str, Callable[[Iterable[Item]], list[dict[str, Any]]]] = {
    "mathvista": mathvista,
    "mathverse": mathverse,
    "mm_math": mm_math,
    "dynamath": dynamath,
    "we_math": we_math,
    "math_vision": math_vision,
    "geometry3k": geometry3k,
    "mmstar": mmstar,
    "chartqa": chartqa,
    "mme": mme,
    "hallusion_bench": hallusion_bench,
}
