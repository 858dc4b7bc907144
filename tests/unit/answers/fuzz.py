"""Throws made-up pairs at the answer checker: what raises, and which pair takes longest.

    python tests/unit/answers/fuzz.py --pairs 2000000 --seed 1

Answers of the tables are cut and joined, changed in a few signs, wrapped as models wrap them, or made of the pieces
that answers are made of. The same seed makes the same pairs. Ends with 1 if a pair raises or takes over 0.1 s.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vr1_ray.answers import accuracy_of, compare

LIMIT_SECONDS = 0.1
TABLES = (
    Path(__file__).with_name("answer_cases.tsv"),
    Path(__file__).parents[3] / "examples" / "answer_checkers" / "pairs.tsv",
)
PIECES = str.split(
    "0 1 2 9 12 1,000 0,5 . , : ; + - * / ^ = < > ( ) [ ] { } | _ ! % $ \\ ' \" # ⏎ x y A B C e i f f( g( \\frac \\frac{1}{2} \\\\frac"
    " \\sqrt \\sqrt{-4} \\pi \\text{ \\textcolor{red}{ \\boxed{ \\begin{pmatrix} \\begin{vmatrix}1&2\\\\3&4\\end{vmatrix} \\end{pmatrix} & \\\\"
    " \\pm \\circ \\left( \\right) \\vec \\cup \\in \\mathbb{R} sin log mod gcd( cm m/s H_2O 204_5 x_1 a_{n+1} or and not yes the is because"
    " so answer three half bars : March PM ± ≤ ≠ √ ½ ² ₂ ∞ ∪ ， 答案 或 ′ inf {x | |x| x> <5 (-∞,1) base rather than A or B Final Answer"
)
WRAPS = (
    "{}", "${}$", "\\boxed{{{}}}", "Final Answer: {}", "**Final Answer**\n\n{}", "The answer is {}!", "x = {}", "{} = {}", "{} or {}", "({}, {})",
    "{}; because {}", "{}:{}", "\\text{{{}}}", "{{{}}}", "|{}|", "{}^{{{}}}", "\\frac{{{}}}{{{}}}", "C. It can't be {}", "x \\in {}", "{} ∪ {}",
)  # fmt: skip


@dataclass(kw_only=True)
class Outcome:
    """What a run of the fuzz found.

    Example:
        fuzz(pairs=20_000, seed=0)  # Outcome(pairs=20000, raised=[], slowest=0.004, slowest_pair=("1", "2"))
    """

    pairs: int = 0
    raised: list[tuple[str, str, str]] = field(default_factory=list)
    """(prediction, answer, error)"""
    slowest: float = 0.0
    """Seconds of this process's own time."""
    slowest_pair: tuple[str, str] = ("", "")


def fuzz(*, pairs: int, seed: int) -> Outcome:
    """Compare made-up pairs."""
    outcome = Outcome(pairs=pairs)
    for prediction, answer in made_up(pairs, seed):
        began = time.process_time()
        try:
            compare(prediction, answer)
            if len(prediction) % 8 == 0:
                accuracy_of(prediction, answer)
        except Exception as error:
            # Whatever it is: that something raised is the finding.
            outcome.raised.append((prediction, answer, repr(error)))
        seconds = time.process_time() - began
        if seconds > outcome.slowest:
            outcome.slowest, outcome.slowest_pair = seconds, (prediction, answer)
    return outcome


def made_up(pairs: int, seed: int) -> Iterator[tuple[str, str]]:
    """Predictions with answers."""
    draw = random.Random(seed)
    answers = known_answers()
    for _ in range(pairs):
        yield (
            _text(draw, answers),
            draw.choice(answers) if draw.random() < 0.7 else _text(draw, answers),
        )


def known_answers() -> list[str]:
    """Every prediction and answer of the tables."""
    rows = [
        line.split("\t")
        for table in TABLES
        for line in table.read_text(encoding="utf-8").split("\n")[1:]
        if line
    ]
    return [cell.replace("⏎", "\n") for row in rows for cell in row[2:4]]


def _text(draw: random.Random, answers: list[str]) -> str:
    kind = draw.randrange(50)
    if kind < 12:  # cut and joined
        one, other = draw.choices(answers, k=2)
        joint = draw.choice(["", " ", ": ", " = ", ", "])
        return one[: draw.randint(0, len(one))] + joint + other[draw.randint(0, len(other)) :]
    if kind < 24:  # changed in a few signs
        signs = list(draw.choice(answers))
        for _ in range(draw.randint(1, 3)):
            place = draw.randint(0, len(signs))
            signs[place : place + draw.randint(0, 2)] = draw.choice(PIECES)
        return "".join(signs)
    if kind < 36:  # wrapped
        return draw.choice(WRAPS).format(*draw.choices(answers, k=2))
    if kind < 49:  # of pieces
        joint = draw.choice(["", "", " "])
        return joint.join(draw.choices(PIECES, k=draw.randint(1, 12)))
    length = int(10 ** draw.uniform(0, 3))  # long
    return "".join(draw.choices(PIECES, k=length))[:2100]


def main() -> int:
    """Run the fuzz and print what it found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.perf_counter()
    outcome = fuzz(pairs=given.pairs, seed=given.seed)
    for prediction, answer, error in outcome.raised[:20]:
        print(f"raised {error} on {prediction!r} for {answer!r}")
    print(
        f"{outcome.pairs} pairs (seed {given.seed}) in {time.perf_counter() - began:.0f} s: {len(outcome.raised)} raised;"
        f" slowest {outcome.slowest:.4f} s: {[text[:60] for text in outcome.slowest_pair]}"
    )
    return int(bool(outcome.raised) or outcome.slowest > LIMIT_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
