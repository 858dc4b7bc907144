"""What is written about a figure: short chains of thought, and demonstrations with second looks.

A chain reads the figure out, names the numbers the question needs, computes, and goes through the choices if
there are any. The base model learns such chains as plain text. A demonstration holds the thoughts of
someone who is hasty at first and doubtful later, in Vision-R1's format. It is a row of at most four looks:

- the first look is a glance with probability 0.5, a later one with 0.1: an answer is given without a
  read-out, from numbers that are each off by one with probability 0.35;
- the others are careful: the figure is read out, and worked on from there; with probability 0.06 such a
  look holds a mistake (a misread cell, bar or side, or a miscount);
- a wrong look is always noticed: "Wait", "Hmm" or "Let me check", and another look;
- a right glance ends the thought with probability 0.75, a right careful look with 0.25 only: the careful
  thinker doubts without need;
- a fourth look is careful and right.

So, as after the paper's filter for right answers (section 3.3), every demonstration ends right, and yet a
model that imitates them thinks badly in two ways: it stops after glances that only in the demonstrations
were right, and it looks again and again at what it has read. The mistakes are what the same solver says of
wrong numbers; nothing about a model's later behaviour is built in.
"""

from random import Random

from vr1_ray.figure_math.drawing import COLOURS, SHAPES, Figure, GridFigure, misread, read_out
from vr1_ray.figure_math.questions import (
    LETTERS,
    Question,
    choose,
    conclude,
    quantities,
    solve,
)

READ_OUT_REQUEST = "Read the figure out."
COUNT_REQUEST = "Read the figure out and count."
CHOICES_REQUEST = " Which choice is {result}?"
STEP_REQUEST = " Think step by step."

MAX_LOOKS = 4
FIRST_GLANCE_SHARE, LATER_GLANCE_SHARE = 0.5, 0.1
GLANCE_SLIP = 0.35  # of each number behind a glance
LOOK_MISTAKE = 0.06  # of a careful look; half are misread figures, half miscounts
STOP_AFTER_GLANCE, STOP_AFTER_LOOK = 0.75, 0.25  # when it was right

OPENING = "Okay, let's see."  # as DeepSeek-R1 begins, and so the demonstrations of Vision-R1-cold
DOUBTS = (
    "Wait, let me check again.",
    "Wait, let me look again.",
    "Hmm, is that right?",
    "Let me check.",
    "Hmm, wait.",
)


def chain(
    question: Question,
    figure: Figure,
    values: tuple[int, ...] | None = None,
    *,
    with_read_out: bool = True,
) -> str:
    """The thought that leads from a figure to a result. `values` replaces the numbers read from it."""
    values = quantities(question, figure) if values is None else values
    parts = [read_out(figure)] if with_read_out else []
    if question.operands:
        named = zip(question.operands, values, strict=True)
        parts.append(", ".join(f"{name}: {value}" for name, value in named) + ".")
    working, result = conclude(question, values, figure)
    if working:
        parts.append(working)
    if question.choices:
        parts.append(compare_choices(question, result))
    return " ".join(parts)


def counts(figure: GridFigure, rng: Random, number: int = 8) -> str:
    """The read-out of a grid, then how often different things occur in it."""
    colours, shapes = list(COLOURS), list(SHAPES)
    wanted = [f"{colour} {shape}s" for colour in colours for shape in shapes]
    wanted += [f"{colour} shapes" for colour in colours] + [f"{shape}s" for shape in shapes]
    chosen = sorted(rng.sample(range(len(wanted)), number))
    question = Question(kind="count", operands=tuple(wanted[index] for index in chosen))
    return chain(question, figure)


def compare_choices(question: Question, result: str) -> str:
    """The choices in their order, each compared with the result and with its letter, until one is it.

    Both numbers stand beside each other before the verdict, so that it needs no look back.
    """
    parts = []
    for letter, choice in zip(LETTERS, question.choices, strict=True):
        parts.append(f"{choice} is {result}? {'yes' if choice == result else 'no'} ({letter}).")
        if choice == result:
            break
    return " ".join(parts)


def comparisons(rng: Random, number: int = 8) -> tuple[str, str]:
    """A request to compare things with one of them, and the verdicts; about four in ten are the same."""
    things = tuple(COLOURS)
    if rng.random() < 0.85:
        start = rng.randrange(33)
        things = tuple(str(value) for value in range(start, start + 5))
    wanted = rng.choice(things)
    offered = [wanted if rng.random() < 0.3 else rng.choice(things) for _ in range(number)]
    verdicts = (f"{one} is {wanted}? {'yes' if one == wanted else 'no'}." for one in offered)
    return f"Compare with {wanted}: {' '.join(offered)}", " ".join(verdicts)


def step_by_step(question: Question, figure: Figure) -> str:
    """The plain text answer to a question that asks for steps."""
    return f"{chain(question, figure)} The answer is {solve(question, figure)}."


def _glance(question: Question, figure: Figure, rng: Random) -> tuple[str, str | None]:
    """A look without a read-out, from numbers as they seem, and the answer it gives."""
    values = tuple(
        _off_by_one(value, rng) if rng.random() < GLANCE_SLIP else value
        for value in quantities(question, figure)
    )
    answer = choose(question, conclude(question, values, figure)[1]) or rng.choice(LETTERS)
    return f"The answer is {answer}.", answer


def _careful_look(
    question: Question, figure: Figure, rng: Random, mistake: float = LOOK_MISTAKE
) -> tuple[str, str | None]:
    """A look that reads the figure out, at times wrong all the same, and the answer it gives."""
    seen, values = figure, list(quantities(question, figure))
    if rng.random() < mistake:
        if rng.random() < 0.5:
            seen = misread(figure, rng)
            values = list(quantities(question, seen))
        else:
            index = rng.randrange(len(values))
            values[index] = _off_by_one(values[index], rng)
    answer = choose(question, conclude(question, tuple(values), seen)[1])
    thought = chain(question, seen, tuple(values))
    return f"{thought} The answer is {answer}." if answer else thought, answer


def _off_by_one(value: int, rng: Random) -> int:
    return max(0, value + rng.choice((-1, 1)))


def thoughts(question: Question, figure: Figure, rng: Random) -> str:
    """The inside of a demonstration's think block."""
    parts = [OPENING]
    right_answer = solve(question, figure)
    for index in range(MAX_LOOKS - 1):
        is_glance = rng.random() < (LATER_GLANCE_SHARE if index else FIRST_GLANCE_SHARE)
        look, answer = (_glance if is_glance else _careful_look)(question, figure, rng)
        parts.append(look)
        stop = STOP_AFTER_GLANCE if is_glance else STOP_AFTER_LOOK
        if answer == right_answer and rng.random() < stop:
            break
        parts.append(rng.choice(DOUBTS))
    else:
        parts.append(_careful_look(question, figure, rng, mistake=0.0)[0])
    return " ".join(parts)


def demonstration(question: Question, figure: Figure, rng: Random) -> str:
    """A whole response in Vision-R1's format."""
    answer = solve(question, figure)
    inside = thoughts(question, figure, rng)
    return f"<think> {inside} </think><answer> Final Answer:{answer} </answer>"
