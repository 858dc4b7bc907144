"""Compares answer checkers on the table of `tests/unit/answers/answer_cases.tsv`, or on one of your own.

    pip install -e ".[dev]"; python examples/compare_answer_checkers.py [TABLE.tsv]

Columns: this project's checker, math-verify (options and strings read too), mathruler, and "union": right if
either of the two or the bare text says so, the usual way to combine them. Each checker runs in a process of
its own: a check that takes over five seconds, raises or ends its process counts as "not equal" and is listed.
answers/s includes the way to that process and back. No part of training uses this file.
"""

import logging
import multiprocessing
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

TABLE = Path(__file__).parents[1] / "tests" / "unit" / "rewards" / "answer_cases.tsv"
LIMIT_SECONDS = 5.0
START_SECONDS = 60.0  # importing sympy takes long on a busy machine
Checker = Callable[[str, str], bool]


def ours() -> Checker:
    """The checker of this project."""
    from vr1_ray.answers import answers_match

    return answers_match


def math_verify() -> Checker:
    """math-verify; it reads LaTeX only between dollars, so both forms are tried."""
    from math_verify import (
        ExprExtractionConfig,
        LatexExtractionConfig,
        StringExtractionConfig,
        parse,
        verify,
    )

    config = [LatexExtractionConfig(), ExprExtractionConfig(), StringExtractionConfig()]

    def says(prediction: str, answer: str) -> bool:
        forms = (("{}", prediction, answer), ("${}$", prediction, answer))
        return any(
            verify(parse(form.format(wanted), config), parse(form.format(said), config))
            for form, said, wanted in forms
        )

    return says


def mathruler() -> Checker:
    """mathruler, as EasyR1 and its descendants use it."""
    from mathruler.grader import grade_answer

    return grade_answer


CHECKERS = {"ours": ours, "math-verify": math_verify, "mathruler": mathruler}


def serve(name: str, pipe: Connection) -> None:
    """What a worker process does: answers every (prediction, answer) it is sent."""
    logging.disable(logging.CRITICAL)  # math-verify logs every text it can't read
    checker = CHECKERS[name]()
    pipe.send("ready")
    while True:
        try:
            pipe.send(bool(checker(*pipe.recv())))
        except Exception as error:
            # Others' checkers raise on some texts: reported, not hidden.
            pipe.send(f"{type(error).__name__}: {error}"[:80])


class Worker:
    """One checker in a process of its own, started again when a check ends it or takes too long."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.failures: list[str] = []
        self.start()

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(self.name, theirs), daemon=True)
        self.process.start()
        theirs.close()
        if not self.pipe.poll(START_SECONDS):
            raise TimeoutError(f"{self.name} did not start within {START_SECONDS} s.")
        self.pipe.recv()

    def says(self, prediction: str, answer: str) -> bool:
        """The verdict; False, with a note in `failures`, if there is none."""
        self.pipe.send((prediction, answer))
        try:
            verdict = self.pipe.recv() if self.pipe.poll(LIMIT_SECONDS) else "took too long"
        except EOFError:
            verdict = "ended its process"
        if isinstance(verdict, bool):
            return verdict
        self.failures.append(f"{self.name}: {verdict} on {prediction[:40]!r} for {answer[:40]!r}")
        if verdict in ("took too long", "ended its process"):
            self.stop()
            self.start()
        return False

    def stop(self) -> None:
        self.process.kill()
        self.process.join()


def main() -> None:
    """Print agreement with the table, by category and overall, and answers per second."""
    table = Path(sys.argv[1]) if len(sys.argv) > 1 else TABLE
    cases = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines()[1:]]
    verdicts: dict[str, list[bool]] = {}
    speeds = {}
    for name in CHECKERS:
        worker = Worker(name)
        began = time.perf_counter()
        verdicts[name] = [worker.says(prediction, answer) for _, _, prediction, answer, _ in cases]
        speeds[name] = f"{len(cases) / (time.perf_counter() - began):.0f}"
        worker.stop()
        print(*worker.failures, sep="\n", file=sys.stderr)
    same_text = [
        prediction.strip().lower() == answer.strip().lower()
        for _, _, prediction, answer, _ in cases
    ]
    verdicts["union"] = [
        any(all_three)
        for all_three in zip(same_text, verdicts["math-verify"], verdicts["mathruler"], strict=True)
    ]
    print_table(cases, verdicts)
    print_row("answers/s", "", *(speeds.get(name, "") for name in verdicts))


def print_table(cases: list[list[str]], verdicts: dict[str, list[bool]]) -> None:
    """One row a category, then right and wrong answers apart, then all."""
    print_row("category", "cases", *verdicts)
    for category in dict.fromkeys(case[0] for case in cases):
        print_agreement(category, [case[0] == category for case in cases], cases, verdicts)
    print_agreement("right answers", [case[1] == "yes" for case in cases], cases, verdicts)
    print_agreement("wrong answers", [case[1] == "no" for case in cases], cases, verdicts)
    print_agreement("all", [True] * len(cases), cases, verdicts)


def print_agreement(
    title: str, is_meant: list[bool], cases: list[list[str]], verdicts: dict[str, list[bool]]
) -> None:
    """The share of the meant cases on which each checker agrees with the table."""
    rows = [number for number, meant in enumerate(is_meant) if meant]
    shares = [
        sum(said[row] == (cases[row][1] == "yes") for row in rows) / len(rows)
        for said in verdicts.values()
    ]
    print_row(title, len(rows), *(f"{100 * share:.1f} %" for share in shares))


def print_row(*cells: object) -> None:
    """Cells in columns."""
    print(f"{cells[0]!s:<16}" + "".join(f"{cell!s:>13}" for cell in cells[1:]))


if __name__ == "__main__":
    main()
