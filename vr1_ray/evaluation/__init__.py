"""Benchmarks: readers of their published forms, their scoring rules, scores with intervals, the pages to read.

To add one, see the example in `base.py`; its row in `benchmarks/__init__.py` is all the rest of the code needs. One
kept outside the package is named in the YAML as `package.module:Name`.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from vr1_ray.config import ConfigError, EvalConfig
from vr1_ray.config.tables import find
from vr1_ray.data.refusals import BadRows
from vr1_ray.evaluation.base import Benchmark, Check, Judged, JudgeRequest, Question, Verdict
from vr1_ray.evaluation.benchmarks import BENCHMARKS
from vr1_ray.evaluation.extraction import Answer, find_answer
from vr1_ray.evaluation.published_files import file_note
from vr1_ray.evaluation.sources import HUB, find_files, read_questions
from vr1_ray.wording import did_you_mean

__all__ = [
    "BENCHMARKS",
    "Answer",
    "Benchmark",
    "Check",
    "JudgeRequest",
    "Judged",
    "Question",
    "Selection",
    "Verdict",
    "find_answer",
    "load_selections",
    "make_benchmark",
    "spread",
]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A benchmark, or the part of it that counts in one sub-score, with its questions.

    Example:
        [selection] = load_selections(["mathvista/GPS"], config.eval)
        selection.name, len(selection.questions)    # "mathvista/GPS", 208
    """

    name: str  # as in `benchmarks`
    benchmark: Benchmark
    questions: list[Question]
    files: tuple[str, ...] = ()  # whether its files are the published ones, where that is known

    @property
    def slug(self) -> str:
        """The name as a file name."""
        return re.sub(r"[^A-Za-z0-9._-]+", "_", self.name)


def make_benchmark(name: str) -> Benchmark:
    """The benchmark of a name. Raises ValueError listing the known ones."""
    return find(BENCHMARKS, name, "benchmarks", kind=Benchmark)()


def load_selections(
    names: list[str],
    config: EvalConfig,
    *,
    max_image_pixels: int = 64_000_000,
    bad_rows: BadRows | None = None,
) -> list[Selection]:
    """The questions of every name in `benchmarks`. Raises ConfigError or DataError before anything is started."""
    _check_instructions(names, config)
    selections, read = [], {}
    for name in names:
        base, part = _base_and_part(name)
        benchmark = make_benchmark(base)
        if config.protocol == "paper":
            _check_paper(benchmark, config)
        if base not in read:
            read[base] = read_questions(
                benchmark,
                config.benchmarks_folder,
                max_image_pixels=max_image_pixels,
                bad_rows=bad_rows,
            )
        questions = _part(name, part, read[base]) if part else read[base]
        questions = spread(questions, config.max_questions)
        selections.append(
            Selection(
                name=name,
                benchmark=benchmark,
                questions=instructed(questions, config.instructions.get(base, "")),
                files=_file_notes(benchmark, config.benchmarks_folder),
            )
        )
    slugs = [selection.slug for selection in selections]
    if len(set(slugs)) < len(slugs):
        raise ConfigError(f"benchmarks: {names} names one twice; leave it out")
    return selections


def instructed(questions: list[Question], line: str) -> list[Question]:
    """The questions with a line after each; as they are without one."""
    if not line:
        return questions
    return [
        replace(one, prompt=replace(one.prompt, question=f"{one.prompt.question}\n{line}"))
        for one in questions
    ]


def _check_instructions(names: list[str], config: EvalConfig) -> None:
    bases = {_base_and_part(name)[0] for name in names}
    if unknown := sorted(set(config.instructions) - bases):
        raise ConfigError(
            f"eval.instructions: {', '.join(unknown)} is none of this run's benchmarks ({', '.join(sorted(bases))})."
            f"{did_you_mean(unknown[0], bases)}"
        )
    if config.instructions and config.protocol == "paper":
        raise ConfigError(
            "eval.instructions: the paper's harness sends its own prompts; leave them out, or use eval.protocol=honest"
        )


def _file_notes(benchmark: Benchmark, folder: str) -> tuple[str, ...]:
    paths = find_files(benchmark, Path(folder)) if folder != HUB else []
    return tuple(note for note in map(file_note, paths) if note)


def _base_and_part(name: str) -> tuple[str, str]:
    """`mathvista/GPS` in two; of `folder/file.py:Name/part` the file's path is not cut."""
    module, colon, rest = name.partition(":")
    if not colon or ("/" in module and not module.endswith(".py")):  # `mathvista/type: integer`
        base, _, part = name.partition("/")
        return base, part
    own, _, part = rest.partition("/")
    return f"{module}:{own}", part


def _check_paper(benchmark: Benchmark, config: EvalConfig) -> None:
    if type(benchmark).paper_check is Benchmark.paper_check:
        raise ConfigError(
            f"benchmarks: the paper reports no figure of {benchmark.name}, so it has no protocol 'paper'; leave it "
            "out, or use eval.protocol=honest"
        )
    if benchmark.is_asked_with_judge() and not config.judge.model:
        raise ConfigError(
            f"eval.judge.model: empty, but the paper's harness scores {benchmark.name} with a judge "
            f"({benchmark.paper_judge}); name one, or use eval.protocol=honest"
        )


def _part(name: str, part: str, questions: list[Question]) -> list[Question]:
    def key(label: str) -> str:
        return re.sub(r"[\s_]+", " ", label).lower()

    labels = list(dict.fromkeys(x for q in questions for x in (*q.labels, *q.groups)))
    chosen = [q for q in questions if key(part) in {key(x) for x in (*q.labels, *q.groups)}]
    if not chosen:
        raise ConfigError(
            f"benchmarks: {name!r} has no part {part!r}; its parts: {', '.join(labels)}."
            f"{did_you_mean(part, labels)}"
        )
    return chosen


def spread(questions: list[Question], most: int) -> list[Question]:
    """At most `most` questions, evenly over the list and always the same; whole clusters, so long as they fit."""
    if not most or len(questions) <= most:
        return questions
    clusters = list(dict.fromkeys(question.cluster for question in questions))
    size = max(1, round(len(questions) / len(clusters)))
    wanted = max(1, most // size)
    kept = {
        clusters[index * len(clusters) // wanted] for index in range(min(wanted, len(clusters)))
    }
    return [question for question in questions if question.cluster in kept][:most]
