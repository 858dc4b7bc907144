"""What is written about a figure: short chains of thought, and demonstrations with second looks.

A chain reads the figure out, names the numbers the question needs, and computes. The base model
learns such chains as plain text. A demonstration is a chain in Vision-R1's format that may stray
first:

- with probability 0.6, up to three times, a look precedes the last one;
- most such looks hold a mistake (a misread cell, bar or side, a miscount, a slip in the sum) and
  are worked out to the wrong result that follows from it; the others are right and doubted for
  no reason;
- each is followed by "Wait", "Hmm" or "Let me check", and by another look: the whole figure
  again, or, after a needless doubt or a slip in the sum, at times the numbers only;
- the last look is always right, and its result is the answer.

So every demonstration is right, and yet a model that imitates them over-thinks: it makes
mistakes as often as they do, and it learns when to stop only if it learns to tell a right look
from a wrong one. The mistakes are what the same solver says about a misread figure; nothing
about a model's later behaviour is built in.
"""

from random import Random

from vr1_ray.data.figure_drawing import COLOURS, SHAPES, Figure, GridFigure, misread, read_out
from vr1_ray.data.figure_questions import Question, choose, conclude, quantities, solve

READ_OUT_REQUEST = "Read the figure out."
COUNT_REQUEST = "Read the figure out and count."
CHOICES_REQUEST = " Name the choices."
STEP_REQUEST = " Think step by step."

SECOND_LOOK_PROBABILITY = 0.6
MAX_SECOND_LOOKS = 3
MISTAKE_SHARE = 0.75  # of the looks before the last; the rest are needless doubts
MISREAD_SHARE = 0.15  # of the mistakes; the rest are miscounts of a figure that was read right

_OPENINGS = ("Okay, let me see.", "Okay, let's see.", "Okay, let me look at the figure.")
_DOUBTS = (
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
    if isinstance(figure, GridFigure):
        parts.append(
            ", ".join(
                f"{name}: {value}" for name, value in zip(question.operands, values, strict=True)
            )
            + "."
        )
    working, result = conclude(question, values, figure)
    if working:
        parts.append(working)
    if question.choices:
        letter = choose(question, result)
        parts.append(name_choices(question))
        parts.append(f"{result} ({letter})." if letter else f"{result} is no choice.")
    return " ".join(parts)


def counts(figure: GridFigure, rng: Random, number: int = 8) -> str:
    """The read-out of a grid, then how often different things occur in it."""
    colours, shapes = list(COLOURS), list(SHAPES)
    wanted = [f"{colour} {shape}s" for colour in colours for shape in shapes]
    wanted += [f"{colour} shapes" for colour in colours] + [f"{shape}s" for shape in shapes]
    chosen = sorted(rng.sample(range(len(wanted)), number))
    question = Question(kind="count", operands=tuple(wanted[index] for index in chosen))
    return chain(question, figure)


def name_choices(question: Question) -> str:
    """Every choice with its letter, the smallest first."""
    ordered = sorted(question.choices, key=lambda choice: (len(choice), choice))
    return ", ".join(f"{choice} ({choose(question, choice)})" for choice in ordered) + "."


def step_by_step(question: Question, figure: Figure) -> str:
    """The plain text answer to a question that asks for steps."""
    return f"{chain(question, figure)} The answer is {solve(question, figure)}."


def _mistaken_look(question: Question, figure: Figure, rng: Random) -> tuple[str, bool]:
    """A look that goes wrong, and whether its read-out was at fault."""
    seen = misread(figure, rng)
    if rng.random() < MISREAD_SHARE and seen != figure:
        return chain(question, seen), True
    values = list(quantities(question, figure))
    index = rng.randrange(len(values))
    values[index] = max(0, values[index] + rng.choice((-1, 1)))
    return chain(question, figure, tuple(values)), False


def thoughts(question: Question, figure: Figure, rng: Random) -> str:
    """The inside of a demonstration's think block."""
    parts = [rng.choice(_OPENINGS)]
    was_misread = True
    for _ in range(MAX_SECOND_LOOKS):
        if rng.random() >= SECOND_LOOK_PROBABILITY:
            break
        if rng.random() < MISTAKE_SHARE:
            look, was_misread = _mistaken_look(question, figure, rng)
        else:
            look, was_misread = chain(question, figure), False
        parts += [look, rng.choice(_DOUBTS)]
    parts.append(chain(question, figure, with_read_out=was_misread or rng.random() < 0.5))
    return " ".join(parts)


def demonstration(question: Question, figure: Figure, rng: Random) -> str:
    """A whole response in Vision-R1's format."""
    answer = solve(question, figure)
    inside = thoughts(question, figure, rng)
    return f"<think> {inside} </think><answer> Final Answer:{answer} </answer>"
