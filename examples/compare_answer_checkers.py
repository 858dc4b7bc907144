"""Compares answer checkers on `answer_checkers/pairs.tsv`, or on a table of your own of the same columns.

    pip install -e ".[dev]"; python examples/compare_answer_checkers.py [TABLE.tsv]

Prints a Markdown table: this project's checker, math-verify (options and strings read too), mathruler, and "union":
right if either of the two or the bare text says so, the usual way to combine them. A wrong answer that is accepted
trains the wrong thing; a right one that is refused costs a sample: they are counted apart. Each checker runs in a
process of its own: a check that takes over five seconds, raises or ends its process counts as "not equal" and is
listed. answers/s includes the way to that process and back. A checker that is not installed is not run, and the
table says so. No part of training uses this file.
"""

import importlib.metadata
import importlib.util
import logging
import multiprocessing
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

TABLE = Path(__file__).parent / "answer_checkers" / "pairs.tsv"
LINE_BREAK = "⏎"  # stands for a line break within a cell
LIMIT_SECONDS = 5.0
START_SECONDS = 60.0  # importing sympy takes long on a busy machine
PACKAGES = {"ours": "vr1_ray", "math-verify": "math_verify", "mathruler": "mathruler"}
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
    """Print where each checker agrees with the table, by kind, and what it accepts and refuses wrongly."""
    cases = read_cases(Path(sys.argv[1]) if len(sys.argv) > 1 else TABLE)
    verdicts: dict[str, list[bool]] = {}
    speeds: dict[str, str] = {}
    for name in CHECKERS:
        if importlib.util.find_spec(PACKAGES[name]) is None:
            print(
                f"{name} is not installed, so it was not run: pip install {name}", file=sys.stderr
            )
            continue
        worker = Worker(name)
        began = time.perf_counter()
        verdicts[name] = [worker.says(prediction, answer) for _, _, prediction, answer in cases]
        speeds[name] = f"{len(cases) / (time.perf_counter() - began):.0f}"
        worker.stop()
        print(*worker.failures, sep="\n", file=sys.stderr)
    if {"math-verify", "mathruler"} <= set(verdicts):
        verdicts["union"] = union_of(cases, verdicts)
    print_table(cases, verdicts)
    print_row("answers/s", "", *(speeds.get(name, "") for name in verdicts))


def read_cases(table: Path) -> list[tuple[str, bool, str, str]]:
    """(kind, whether it is right, prediction, answer) of each row."""
    text = table.read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.split("\n")[1:] if line]
    return [
        (kind, expected == "yes", said.replace(LINE_BREAK, "\n"), wanted.replace(LINE_BREAK, "\n"))
        for kind, expected, said, wanted, _ in rows
    ]


def union_of(
    cases: list[tuple[str, bool, str, str]], verdicts: dict[str, list[bool]]
) -> list[bool]:
    """Whether the bare text, math-verify or mathruler accepts."""
    said = zip(cases, verdicts["math-verify"], verdicts["mathruler"], strict=True)
    return [
        case[2].strip().lower() == case[3].strip().lower() or one or other
        for case, one, other in said
    ]


def print_table(cases: list[tuple[str, bool, str, str]], verdicts: dict[str, list[bool]]) -> None:
    """One row a kind with what is judged rightly, then the two ways to be wrong, and all."""
    print_row("kind", "pairs", *map(versioned, verdicts))
    print_row("---", "---:", *["---:"] * len(verdicts))
    for kind in dict.fromkeys(case[0] for case in cases):
        rows = [number for number, case in enumerate(cases) if case[0] == kind]
        print_row(kind, len(rows), *(agreed(rows, cases, said) for said in verdicts.values()))
    rows = list(range(len(cases)))
    print_row("**all**", len(rows), *(agreed(rows, cases, said) for said in verdicts.values()))
    for title, is_right in (("wrong answers accepted", False), ("right answers refused", True)):
        meant = [number for number, case in enumerate(cases) if case[1] == is_right]
        failed = (len(meant) - agreed(meant, cases, said) for said in verdicts.values())
        print_row(f"**{title}**", len(meant), *failed)


def agreed(rows: list[int], cases: list[tuple[str, bool, str, str]], said: list[bool]) -> int:
    """On how many of the rows a checker agrees with the table."""
    return sum(said[row] == cases[row][1] for row in rows)


def versioned(name: str) -> str:
    """The checker with its version."""
    return (
        f"{name} {importlib.metadata.version(name)}"
        if name in CHECKERS and name != "ours"
        else name
    )


def print_row(*cells: object) -> None:
    """Cells of a Markdown table."""
    print(f"| {' | '.join(map(str, cells))} |")


if __name__ == "__main__":
    main()
