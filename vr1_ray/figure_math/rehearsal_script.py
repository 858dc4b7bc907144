"""The scripted minds of the rehearsal: a model that sees figures, and a reasoner that reads of them.

The first knows each picture's drawing by the hash of its bytes. The second knows only the text it is sent: it
finds the read-out and the question there, thinks as the demonstrations of `figure_math` do, and errs as
`rehearsal_words` says. What it does with a request depends on the request and the seed alone.
"""

import re
from dataclasses import dataclass
from random import Random

from vr1_ray.figure_math.drawing import (
    COLOURS,
    BarFigure,
    Figure,
    GridFigure,
    RectangleFigure,
    misread,
    read_out,
)
from vr1_ray.figure_math.questions import KINDS, LETTERS, Question, solve
from vr1_ray.figure_math.rehearsal_words import (
    MLLM_MISREAD,
    REASONER_FAULTS,
    SPEAKS_OF_DESCRIPTION,
    phrases,
)
from vr1_ray.figure_math.thoughts import OPENING, chain, thoughts

_READ_OUT = re.compile(
    r"Top: ([^.]*)\. Middle: ([^.]*)\. Bottom: ([^.]*)\.|Bars: ([^.]*)\.|Rectangle: (\d+) wide, (\d+) high\."
)
_ANSWER = re.compile(r"correct answer is ([^)\n]+?)\.\)")
_CHOICES = re.compile(r"\? Choices: ((?:[^()\n]+ \([A-D]\)\s?)+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What a scripted mind answers, with the answer it means and the fault it made ("" for none): these two are for the
    ledger alone.

    Example:
        Said(thought="Okay, let's see. ...", text="Final Answer:3", finish_reason="stop", fault="")
    """

    text: str
    thought: str = ""
    finish_reason: str = "stop"
    answer: str = ""
    fault: str = ""


def read_outs(text: str) -> list[Figure]:
    """The figures that a text reads out, in order; a rectangle's colour and place are not read out."""
    figures: list[Figure] = []
    for found in _READ_OUT.finditer(text):
        *rows, bars, width, height = found.groups()
        if bars is not None:
            pairs = re.findall(r"(\w+) (\d+)", bars)
            figures.append(BarFigure(bars=tuple((name, int(value)) for name, value in pairs)))
        elif width is not None:
            figures.append(
                RectangleFigure(colour="red", width=int(width), height=int(height), left=0, top=0)
            )
        else:
            cells = [cell for row in rows for cell in row.split(", ")]
            figures.append(
                GridFigure(cells=tuple("" if cell == "empty" else cell for cell in cells))
            )
    return figures


def find_question(text: str) -> Question | None:
    """The figure_math question that stands in a text."""
    for kind, (_, wording) in KINDS.items():
        pattern = re.escape(wording)
        for place in ("0", "1"):
            pattern = pattern.replace(rf"\{{{place}\}}", r"((?:[a-z]+ )*?[a-z]+)")
        if found := re.search(pattern, text):
            offered = _CHOICES.match(text, found.end() - 1)
            choices = re.findall(r"([^()]+?) \([A-D]\)\s?", offered[1]) if offered else []
            return Question(kind=kind, operands=found.groups(), choices=tuple(choices))
    return None


def see(figure: Figure, text: str, seed: int) -> Said:
    """The MLLM: a description if the text holds a pseudo-CoT, else the pseudo-CoT."""
    question = find_question(text)
    if question is None:
        return Said(text=f"A figure. {read_out(figure)}")
    rng = Random(f"{seed} see {read_out(figure)} {question.text}")
    is_misread = rng.random() < MLLM_MISREAD
    seen = _misread(figure, question, rng) if is_misread else figure
    fault = "misread_figure" if is_misread else ""
    if read_outs(text):
        return Said(text=f"The image holds a figure. {read_out(seen)}", fault=fault)
    reasoning = chain(question, seen, with_read_out=False)
    return Said(text=f"Caption: {read_out(seen)}\nReasoning: {reasoning}", fault=fault)


def _misread(figure: Figure, question: Question, rng: Random) -> Figure:
    """The figure with one thing misread; rather one that leaves the answer as it is, which no rule can see."""
    tries = [misread(figure, rng) for _ in range(8)]
    answer = solve(question, figure)
    return next((seen for seen in tries if solve(question, seen) == answer), tries[0])


def reason(text: str, seed: int, candidate: int | None, half: str) -> Said:
    """The reasoner: a thought on what the text reads out, right or at fault."""
    question, figures = find_question(text), read_outs(text)
    if question is None or not figures or not _can_answer(question, figures[-1]):
        return Said(thought="There is nothing here to reason about.", text="I don't know.")
    rng = Random(f"{seed} reason {candidate} {text}")
    given = _ANSWER.search(text)
    answer = given[1] if given else solve(question, figures[-1])
    thought = thoughts(question, figures[-1], rng)
    if answer != solve(question, figures[-1]):  # the figure was misread: it believes the answer
        thought += f" Hmm, is that right? The answer is {answer}."
    if rng.random() < SPEAKS_OF_DESCRIPTION:
        thought = _speak_of_description(thought, rng.choice(phrases("describing", half)))
    fault = _draw_fault(rng)
    return _with_fault(fault, thought, answer, wrong_answer(question, answer, rng), rng, half)


def _speak_of_description(thought: str, said: str) -> str:
    """The thought, its last look introduced by what it looks at, if it is not the first.

    The opening stays: a greedy policy takes the likeliest, and one phrase in several would cost the read-outs that.
    """
    last = [found.start() for found in _READ_OUT.finditer(thought)][-1:]
    if not last or thought[: last[0]].strip() == OPENING:
        return thought
    return f"{thought[: last[0]]}{said} {thought[last[0] :]}"


def _can_answer(question: Question, figure: Figure) -> bool:
    """Whether the figure has what is asked for: a real model's read-out may not."""
    try:
        return bool(solve(question, figure))
    except (KeyError, IndexError, ValueError, AttributeError, StopIteration):
        return False


def wrong_answer(question: Question, answer: str, rng: Random) -> str:
    """An answer of the same kind that is not `answer`."""
    if question.choices:
        others: list[str] = [letter for letter in LETTERS if letter != answer]
    elif answer in ("yes", "no"):
        others = ["no" if answer == "yes" else "yes"]
    elif answer in COLOURS:
        others = [colour for colour in COLOURS if colour != answer]
    else:
        others = [str(int(answer) + step) for step in (-2, -1, 1, 2) if int(answer) + step >= 0]
    return rng.choice(others)


def _draw_fault(rng: Random) -> str:
    draw = rng.random()
    for fault, rate in REASONER_FAULTS.items():
        draw -= rate
        if draw < 0:
            return fault
    return ""


def _with_fault(fault: str, thought: str, answer: str, wrong: str, rng: Random, half: str) -> Said:
    if fault == "unterminated":
        words = thought.split()
        cut = " ".join(words[: rng.randint(len(words) // 2, max(1, len(words) - 2))])
        return Said(thought=cut, text="", finish_reason="length", fault=fault)
    if fault == "looping":
        thought += f" {rng.choice(phrases(fault, half))}" * rng.randint(12, 40)
        thought += f" The answer is {answer}."
    elif fault == "wrong_answer":
        thought, answer = f"{thought} Wait, let me check. The answer is {wrong}.", wrong
    elif fault == "contradiction":
        said = rng.choice(phrases(fault, half)).format(wrong=wrong, answer=answer)
        thought = f"{thought} Wait, let me check again. {said}"
    elif fault:
        said = rng.choice(phrases(fault, half)).format(answer=answer, wrong=wrong)
        thought = thought.replace(OPENING, f"{OPENING} {said}", 1)
    return Said(thought=thought, text=_final_text(answer, rng), answer=answer, fault=fault)


def _final_text(answer: str, rng: Random) -> str:
    forms = ("Final Answer:{}", "**Final Answer:** {}", "So the answer is {}.\n\nFinal Answer: {}")
    return (
        rng.choice((*forms, "\\boxed{{{}}}"))
        .replace("{}", answer)
        .replace("{{", "{")
        .replace("}}", "}")
    )
