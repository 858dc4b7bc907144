"""MathVerse's answers beside what is said, labelled by hand: its published scorer is a language model that is told to
call answers consistent if they are the same option, or the same meaning in another form ("0.5m and 50cm")."""

from collections.abc import Iterator
from typing import Any

Case = tuple[dict[str, Any], str, str]
FINAL = (
    "<think> I look at the picture. </think><answer> Final Answer:{} </answer>",
    "Let me look at the figure first, and then say what follows from it in one line.\n\nThe answer is {}.",
    "I look at the figure and reason step by step.\n\n**Final Answer:** {}",
    "{}",
)
VERSE_PAIRS = [  # (kind, answer, what is said, whether the published judge's own instruction makes them consistent)
    ("multi-choice", "C", "C", True), ("multi-choice", "C", "(C)", True), ("multi-choice", "C", "C:√{3}", True),
    ("multi-choice", "C", "√3", True), ("multi-choice", "C", "B", False), ("multi-choice", "C", "B:2√{3}", False),
    ("multi-choice", "C", "2", False), ("multi-choice", "C", "A or C", False), ("multi-choice", "(C)", "C", True),
    ("multi-choice", "C\nD", "C and D", True), ("multi-choice", "C\nD", "C", False), ("multi-choice", "D", "2√2", True),
    ("free-form", "14", "14", True), ("free-form", "14", "14.0", True), ("free-form", "14", "15", False),
    ("free-form", "0.5m", "50cm", True), ("free-form", "0.5m", "5cm", False), ("free-form", "0.5m", "AB = 50 cm", True),
    ("free-form", "50%", "0.5", True), ("free-form", "1/2", "\\frac{1}{2}", True), ("free-form", "1/2", "0.4", False),
    ("free-form", "(-2,1]", "(-2, 1]", True), ("free-form", "(-2,1]", "(-2, 1)", False),
    ("free-form", "f(x)=x^2-4x+3", "x^2 - 4x + 3", True), ("free-form", "f(x)=x^2-4x+3", "y = x^2 - 4x + 3", True),
    ("free-form", "f(x)=x^2-4x+3", "x^2 + 4x + 3", False), ("free-form", "3√{2}", "3\\sqrt{2}", True),
    ("free-form", "3√{2}", "2\\sqrt{3}", False), ("free-form", "x=2", "2", True), ("free-form", "(3,-1)", "(3, -1)", True),
    ("free-form", "(3,-1)", "(-1, 3)", False), ("free-form", "the y-axis", "the y-axis", True),
    ("free-form", "the y-axis", "the vertical axis", True), ("free-form", "the y-axis", "the x-axis", False),
    ("free-form", "22.3", "22.31", True), ("free-form", "22.3", "22.4", False), ("free-form", "60", "60°", True),
    ("free-form", "8π", "8\\pi", True), ("free-form", "8π", "25.1", False), ("free-form", "6 cm", "6", True),
]  # fmt: skip


def mathverse() -> Iterator[Case]:
    """Pairs labelled by hand: the published scorer is a language model, so what it is told to do is the rule."""
    for kind, answer, said, is_consistent in VERSE_PAIRS:
        row = {
            "sample_index": "1", "problem_index": "1", "problem_version": "Text Lite", "question": "Find BC.",
            "query_cot": "Find BC.", "question_type": kind, "answer": answer, "is_consistent": is_consistent,
            "question_for_eval": "Find BC.\nChoices:\nA:2\nB:2√{3}\nC:√{3}\nD:2√{2}" if kind == "multi-choice" else "Find.",
            "metadata": {"subject": "Plane Geometry", "subfield": "Length"},
        }  # fmt: skip
        for template in FINAL:
            yield row, template.format(said), said
