"""What a benchmark is: rows become questions, answers get verdicts, verdicts become scores. Plain Python, no Ray.

    rows (sources.py) -> Question -> [engine] -> response -> Answer (extraction.py) -> Verdict -> Score

A check is a generator: it yields a `JudgeRequest` when only a language model can tell, gets the reply (None if
there is none), and returns a `Verdict`. So a benchmark knows no endpoint, and all pending requests go out together.

To add a benchmark, write one file and a row in `vr1_ray/evaluation/benchmarks/__init__.py`:

    class MyBenchmark(Benchmark):
        name = "my_benchmark"                      # as in benchmarks=[my_benchmark]
        hub, split, size = "owner/MyBenchmark", "test", 500
        schema_source = "the hub's card, read 2026-11-24"

        def question(self, row: Row) -> Question:  # one row, in any of its published forms
            return self.make_question(row, question_id=row.text("id"), text=row.text("question"),
                                      answer=row.text("answer"), images=row.images("image"))

        def check(self, question: Question, answer: Answer) -> Verdict:
            return by_checker(answer, question.answer)
"""

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from vr1_ray.answers import compare
from vr1_ray.data.marks import CONTROL_TOKENS
from vr1_ray.data.refusals import DataError
from vr1_ray.evaluation.extraction import Answer
from vr1_ray.evaluation.rows import Row
from vr1_ray.evaluation.statistics import Score
from vr1_ray.types import EncodedImage, Prompt


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One question of a benchmark, with all that its scoring needs.

    Example:
        Question(prompt=prompt, question_id="225", answer="145°", kind="multi_choice",
                 choices=("135°", "145°"), labels=("GPS", "GEO"), cluster="225")
    """

    prompt: Prompt  # as it is sent; its id is BENCHMARK/QUESTION_ID
    question_id: str
    answer: str  # the reference, in the form the benchmark's rule compares with
    kind: str = ""  # the benchmark's own word for the type of answer
    choices: tuple[str, ...] = ()  # texts of the options, A first
    labels: tuple[str, ...] = ()  # sub-scores it counts in
    groups: tuple[
        str, ...
    ] = ()  # finer ones ("grade: high school"), in scores.json and as parts, not in the table
    cluster: str = ""  # questions that stand or fall together (variants of one problem)
    fields: dict[str, Any] = field(default_factory=dict)  # further columns that the rules need

    @property
    def words(self) -> str:
        """The question as a judge reads it, without the marks of pictures."""
        return self.prompt.question.replace("<image>", "").strip()


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Whether a response is right, by which rule, and whether a rule could tell at all.

    What is not decided counts as wrong; with a judge it is asked.
    """

    is_correct: bool
    rule: str
    extracted: str = ""
    is_decided: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeRequest:
    """One question to the judge. `calls` repeats it and keeps the last reply (a flaw of the paper's harness)."""

    text: str
    system: str | None = None
    temperature: float = 0.0
    max_tokens: int = 128
    calls: int = 1


Check = Generator[JudgeRequest, str | None, Verdict]


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A question with the verdict on each of its samples."""

    question: Question
    verdicts: tuple[Verdict, ...]

    @property
    def share(self) -> float:
        """Mean over the samples, 0 to 1."""
        return sum(verdict.is_correct for verdict in self.verdicts) / len(self.verdicts)


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherSplit:
    """A published split beside the one that is asked by default.

    Example:
        OtherSplit(size=304, files=("MathVision_MINI.tsv",))
    """

    size: int
    files: tuple[str, ...] = ()


class Benchmark(ABC):
    """One benchmark. Class attributes describe it; the methods are pure."""

    name: ClassVar[str]
    hub: ClassVar[str]  # the published data set; "" if it can't be read from the hub as it is
    split: ClassVar[str]
    size: ClassVar[int]  # questions of the published split
    schema_source: ClassVar[str]  # where the columns were read
    hubs_moved: ClassVar[tuple[str, ...]] = ()  # further names of it on the hub, tried in order
    paper_judge: ClassVar[str] = "gpt-4o-mini-2024-07-18"  # default of the paper's harness
    hub_config: ClassVar[str | None] = None
    splits: ClassVar[tuple[str, ...]] = ()  # more than one: all are read, in order
    file_splits: ClassVar[tuple[str, ...]] = ()  # the splits as file names call them, if otherwise
    other_splits: ClassVar[dict[str, OtherSplit]] = {}  # asked as NAME/SPLIT
    files: ClassVar[
        tuple[str, ...]
    ] = ()  # published file names beside the usual SPLIT.parquet and the like
    warning: ClassVar[str] = ""  # why a figure of it may mislead
    headline: ClassVar[str] = "overall"
    main_labels: ClassVar[tuple[str, ...]] = ()  # sub-scores the table shows; () all

    def of_split(self, name: str) -> "Benchmark":
        """The same benchmark on another of its splits."""
        other = self.other_splits[name]
        own = {"split": name, "splits": (), "size": other.size, "files": other.files}
        return cast(Benchmark, type(type(self).__name__, (type(self),), own)())

    @abstractmethod
    def question(self, row: Row) -> Question:
        """One row as a question. Raises DataError with what is wrong with it."""

    @abstractmethod
    def check(self, question: Question, answer: Answer) -> Verdict:
        """The verdict of rules alone on the answer found in a response."""

    def paper_text(self, question: Question) -> str:
        """The question as the paper's harness sends it; the same, unless the harness adds something."""
        return question.prompt.question

    def paper_check(self, question: Question, prediction: str) -> Check:
        """The verdict of the paper's harness. Raises ValueError where the paper reports no figure."""
        raise ValueError(
            f"benchmarks: {self.name} has no protocol 'paper', the paper reports no figure of it; "
            "leave it out, or use eval.protocol=honest"
        )

    def is_asked_with_judge(self) -> bool:
        """Whether the paper's harness can't score it without a judge."""
        return True

    def scores(self, judged: Sequence[Judged]) -> list[Score]:
        """The headline score first, then the sub-scores, each over the questions that count in it."""
        return [Score.mean_of(self.headline, judged, self.size), *label_scores(judged)]

    def groups(self, judged: Sequence[Judged]) -> list[Score]:
        """Finer scores than the table has room for: the mean of each group."""
        return group_scores(judged)

    def make_question(
        self,
        row: Row,
        *,
        question_id: str,
        text: str,
        answer: str,
        images: tuple[EncodedImage, ...],
        **rest: Any,
    ) -> Question:
        """A question whose images stand before its text, as all harnesses send them.

        Raises DataError for a text with control tokens of a model.
        """
        if token := CONTROL_TOKENS.search(text):
            raise DataError(
                f"question: {token[0]!r} is a control token, which would end the turn; take it out, or drop the row"
            )
        prompt = Prompt(
            prompt_id=f"{self.name}/{question_id}",
            question="<image>" * len(images) + text.replace("<image>", "").strip(),
            images=images,
            answer=answer,
            metadata={"benchmark": self.name, "source": row.place},
        )
        rest.setdefault("cluster", question_id)
        return Question(prompt=prompt, question_id=question_id, answer=answer, **rest)


def label_scores(judged: Sequence[Judged]) -> list[Score]:
    """One score per label, in order of first appearance."""
    labels = dict.fromkeys(label for one in judged for label in one.question.labels)
    return [
        Score.mean_of(label, [one for one in judged if label in one.question.labels])
        for label in labels
    ]


def group_scores(judged: Sequence[Judged]) -> list[Score]:
    """One score per group ("grade: high school"), by name."""
    groups = sorted({group for one in judged for group in one.question.groups})
    return [
        Score.mean_of(group, [one for one in judged if group in one.question.groups])
        for group in groups
    ]


def by_checker(answer: Answer, reference: str) -> Verdict:
    """The verdict of our own checker; words it can't match are not decided, values are."""
    if not answer.text:
        return Verdict(is_correct=False, rule=answer.how, is_decided=answer.is_final)
    found = compare(answer.text, reference)
    is_decided = found.is_match or (answer.is_final and found.how not in ("words", "too long"))
    return Verdict(
        is_correct=found.is_match,
        rule=f"checker: {found.how}",
        extracted=answer.text,
        is_decided=is_decided,
    )
