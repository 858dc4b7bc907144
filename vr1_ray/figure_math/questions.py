"""The questions of `figure_math`: what is asked about a figure, and the sum that answers it.

Solving is split in two, because a slip can happen in either half: `quantities` reads from the
figure the numbers the question needs, `conclude` computes the answer from such numbers. The
reference answer is both halves on the true figure; a mistaken thought runs the same code on a
misread figure or wrong numbers.

Six families: count, sum_difference, compare (yes or no), bar_chart, rectangle, multiple_choice.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from random import Random

from vr1_ray.figure_math.drawing import (
    COLOURS,
    NUM_BUCKETS,
    SHAPES,
    BarFigure,
    Figure,
    GridFigure,
    RectangleFigure,
    random_figure,
)

LETTERS = "ABCD"

# kind -> (family, wording); the operands fill the wording.
KINDS = {
    "count": ("count", "How many {0} are there?"),
    "sum": ("sum_difference", "How many {0} and {1} are there in all?"),
    "difference": ("sum_difference", "What is the difference between the numbers of {0} and {1}?"),
    "more": ("compare", "Are there more {0} than {1}?"),
    "equal": ("compare", "Are there as many {0} as {1}?"),
    "bar_higher": ("compare", "Is the {0} bar higher than the {1} bar?"),
    "bar_value": ("bar_chart", "How high is the {0} bar?"),
    "bar_sum": ("bar_chart", "How high are the {0} bar and the {1} bar together?"),
    "bar_difference": ("bar_chart", "What is the difference between the {0} bar and the {1} bar?"),
    "bar_highest": ("bar_chart", "Which bar is the highest?"),
    "side": ("rectangle", "How {0} is the rectangle?"),
    "perimeter": ("rectangle", "What is the perimeter of the rectangle?"),
    "area": ("rectangle", "What is the area of the rectangle?"),
}
FAMILIES = ("count", "sum_difference", "compare", "bar_chart", "rectangle", "multiple_choice")

# How often each kind is asked. Questions that need several steps are the majority.
_KIND_WEIGHTS = {
    "count": 4, "sum": 6, "difference": 6, "more": 4, "equal": 3, "bar_higher": 2, "bar_value": 1, "bar_sum": 4,
    "bar_difference": 3, "bar_highest": 2, "side": 1, "perimeter": 3, "area": 2,
}  # fmt: skip
# Of the questions that are not yes or no. Low, since letters are what vr1-tiny finds worst.
CHOICE_SHARE = 0.12


@dataclass(frozen=True)
class Question:
    """What is asked. `choices`, when there are any, are offered as A to D.

    Example: `Question(kind="sum", operands=("red circles", "squares"))`
    """

    kind: str
    operands: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The family the question counts for."""
        return "multiple_choice" if self.choices else KINDS[self.kind][0]

    @property
    def text(self) -> str:
        """The words of the question."""
        text = KINDS[self.kind][1].format(*self.operands)
        if self.choices:
            offered = zip(LETTERS, self.choices, strict=True)
            text += " Choices: " + " ".join(f"{choice} ({letter})" for letter, choice in offered)
        return text


def _matches(cell: str, wanted: str) -> bool:
    """Whether the cell "red circle", say, is one of "red circles", "red shapes" or "circles"."""
    singular = wanted.removesuffix("s")
    if singular.endswith(" shape"):
        return cell.startswith(singular.removesuffix("shape"))
    return cell.endswith(singular)


def quantities(question: Question, figure: Figure) -> tuple[int, ...]:
    """The numbers the question needs, read from the figure in the order of the operands."""
    if isinstance(figure, GridFigure):
        return tuple(
            sum(_matches(cell, wanted) for cell in figure.cells) for wanted in question.operands
        )
    if isinstance(figure, BarFigure):
        heights = dict(figure.bars)
        return tuple(heights[colour] for colour in question.operands or heights)
    if question.kind == "side":
        return (figure.width if question.operands == ("wide",) else figure.height,)
    return (figure.width, figure.height)


def _sum(a: int, b: int) -> tuple[str, str]:
    return f"{a} + {b} = {a + b}.", str(a + b)


def _difference(a: int, b: int) -> tuple[str, str]:
    large, small = max(a, b), min(a, b)
    return f"{large} - {small} = {large - small}.", str(large - small)


def _more(a: int, b: int) -> tuple[str, str]:
    return (f"{a} is more than {b}.", "yes") if a > b else (f"{a} is not more than {b}.", "no")


def _equal(a: int, b: int) -> tuple[str, str]:
    return (f"{a} is equal to {b}.", "yes") if a == b else (f"{a} is not equal to {b}.", "no")


def _perimeter(a: int, b: int) -> tuple[str, str]:
    return f"{a} + {b} = {a + b}, {a + b} + {a + b} = {2 * (a + b)}.", str(2 * (a + b))


def _area(a: int, b: int) -> tuple[str, str]:
    return f"{a} x {b} = {a * b}.", str(a * b)


_SUMS: dict[str, Callable[[int, int], tuple[str, str]]] = {
    "sum": _sum, "bar_sum": _sum, "difference": _difference, "bar_difference": _difference, "more": _more,
    "bar_higher": _more, "equal": _equal, "perimeter": _perimeter, "area": _area,
}  # fmt: skip


def conclude(question: Question, values: tuple[int, ...], figure: Figure) -> tuple[str, str]:
    """The working and the result that follow from `values` (before any letter is chosen)."""
    if question.kind == "bar_highest":
        assert isinstance(figure, BarFigure)
        highest = max(values)
        return f"{highest} is the highest.", figure.bars[values.index(highest)][0]
    if question.kind in _SUMS:
        return _SUMS[question.kind](*values)
    return "", str(values[0])


def choose(question: Question, result: str) -> str | None:
    """The answer to give for a result: itself, its letter, or None when it isn't a choice."""
    if not question.choices:
        return result
    return LETTERS[question.choices.index(result)] if result in question.choices else None


def solve(question: Question, figure: Figure) -> str:
    """The reference answer: a number, a word or a letter."""
    result = conclude(question, quantities(question, figure), figure)[1]
    answer = choose(question, result)
    assert answer is not None, (question, figure)
    return answer


def random_question(
    rng: Random,
    buckets: Iterable[int] = range(NUM_BUCKETS),
    choice_share: float = CHOICE_SHARE,
) -> tuple[Figure, Question]:
    """A figure from `buckets` and a question about it."""
    kinds = list(_KIND_WEIGHTS)
    kind = rng.choices(kinds, [_KIND_WEIGHTS[kind] for kind in kinds])[0]
    while True:
        figure, question = _propose(rng, kind, buckets)
        if _is_wanted(rng, question, figure):
            break
    if KINDS[kind][0] != "compare" and rng.random() < choice_share:
        question = _with_choices(rng, question, figure)
    return figure, question


def _propose(rng: Random, kind: str, buckets: Iterable[int]) -> tuple[Figure, Question]:
    if kind in ("side", "perimeter", "area"):
        operands = (rng.choice(("wide", "high")),) if kind == "side" else ()
        return random_figure(rng, RectangleFigure, buckets), Question(kind=kind, operands=operands)
    if kind.startswith("bar_"):
        bars = random_figure(rng, BarFigure, buckets)
        assert isinstance(bars, BarFigure)
        wanted = {"bar_value": 1, "bar_highest": 0}.get(kind, 2)
        return bars, Question(
            kind=kind, operands=tuple(rng.sample([colour for colour, _ in bars.bars], wanted))
        )
    grid = random_figure(rng, GridFigure, buckets)
    assert isinstance(grid, GridFigure)
    return grid, Question(kind=kind, operands=_operands(rng, grid, 1 if kind == "count" else 2))


def _operands(rng: Random, grid: GridFigure, number: int) -> tuple[str, ...]:
    """Different things to count, most of them present in the grid."""
    present = [cell.split() for cell in grid.cells if cell] or [["red", "circle"]]
    operands: list[str] = []
    while len(operands) < number:
        colour, shape = rng.choice(present)
        if rng.random() < 0.1:
            colour, shape = rng.choice(list(COLOURS)), rng.choice(SHAPES)
        wanted = rng.choice(
            (f"{colour} {shape}s", f"{colour} {shape}s", f"{colour} shapes", f"{shape}s")
        )
        # "Red circles and circles" would count some shapes twice: a puzzle about words.
        if not any(_overlap(wanted, other) for other in operands):
            operands.append(wanted)
        elif rng.random() < 0.1:
            operands.clear()  # a grid of one kind only may leave no second thing to ask for
            present = [[colour, shape] for colour in COLOURS for shape in SHAPES]
    return tuple(operands)


def _overlap(one: str, other: str) -> bool:
    kinds = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES]
    return any(_matches(kind, one) and _matches(kind, other) for kind in kinds)


def _is_wanted(rng: Random, question: Question, figure: Figure) -> bool:
    """Refuses ties for the highest bar, and keeps yes and no about equally frequent."""
    values = quantities(question, figure)
    if question.kind == "bar_highest":
        return sorted(values)[-1] != sorted(values)[-2]
    if question.kind == "equal":
        return values[0] == values[1] or rng.random() < 0.3
    if question.kind == "more":
        return values[0] > values[1] or rng.random() < 0.6
    return True


def _with_choices(rng: Random, question: Question, figure: Figure) -> Question:
    """The same question with four choices, the result among them."""
    result = conclude(question, quantities(question, figure), figure)[1]
    if question.kind == "bar_highest":
        choices = list(COLOURS)
    else:
        number = int(result)
        near = [value for value in range(max(0, number - 4), number + 5) if value != number]
        choices = [result, *(str(value) for value in rng.sample(near, 3))]
    rng.shuffle(choices)
    return replace(question, choices=tuple(choices))
