"""We-Math testmini: composite problems with their one-step parts, and the four-dimensional metrics over both.

A composite problem is mastered (CM) if it and its steps are right, generalised inadequately (IG) if only the steps
are, known by rote (RM) if it is right in spite of wrong steps, unknown (IK) if steps and it are wrong. "Strict" wants
all steps right for CM, "loose" any. Score = (N - 0.5 IG - RM - IK) / N; the rate of RM is RM / (CM + RM).
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from vr1_ray.data.refusals import DataError
from vr1_ray.evaluation.base import Benchmark, Judged, Question, Verdict
from vr1_ray.evaluation.choosing import choice_verdict
from vr1_ray.evaluation.extraction import Answer, as_choices
from vr1_ray.evaluation.rows import Row
from vr1_ray.evaluation.statistics import Score

NUM_PROBLEMS = 525
WORTH = {"CM": 1.0, "IG": 0.5, "RM": 0.0, "IK": 0.0}
LETTERS = "ABCDEFGH"
NODES = "knowledge_structure_nodes.json"


class WeMath(Benchmark):
    """1,740 questions, 525 composite problems."""

    name = "we_math"
    hub, split, size = "We-Math/We-Math", "testmini", 1740
    files = ("WeMath.tsv",)
    schema_source = (
        "We-Math/We-Math @ a57a0e83 data/testmini.json and evaluation/; the hub's image_path holds the image "
        "(lmms-eval's tasks/wemath); option columns A to G of today's VLMEvalKit TSV; start of its prompt unconfirmed"
    )
    warning = "part of Vision-R1-rl: a policy trained on that set has seen it"
    headline = "score (strict)"
    main_labels: ClassVar[tuple[str, ...]] = ("score (loose)", "accuracy", "S1", "S2", "S3")

    def question(self, row: Row) -> Question:
        key = row.text("key")
        option = row.text("option", default="")
        choices = split_options(option)
        if not option:
            choices = tuple(row.text(letter) for letter in LETTERS if row.has(letter))
            option = ";".join(f"{letter}. {text}" for letter, text in as_choices(choices).items())
        steps = key.split("steps")[0]
        kind = f"S{steps}" if key.endswith("multi") else "S1"
        return self.make_question(
            row,
            question_id=row.text("question number", "index"),
            text=f"{row.text('question')}\n{option}",
            answer=row.text("answer").upper(),
            images=row.images("image_path", "image"),
            choices=choices,
            labels=(kind,),
            cluster=row.text("ID", "id"),
            groups=_groups(row) if kind == "S1" else (),
            fields={"key": key},
        )

    def check(self, question: Question, answer: Answer) -> Verdict:
        return choice_verdict(answer, question.choices, question.answer)

    def scores(self, judged: Sequence[Judged]) -> list[Score]:
        problems: dict[str, list[Judged]] = defaultdict(list)
        for one in judged:
            problems[one.question.cluster].append(one)
        whole = {name: rows for name, rows in problems.items() if _is_whole(rows)}
        strict = {name: _classes(rows, is_strict=True) for name, rows in whole.items()}
        loose = {name: _classes(rows, is_strict=False) for name, rows in whole.items()}
        headline, *labels = super().scores(judged)
        steps = sorted(labels, key=lambda score: score.name)
        return [
            _worth("score (strict)", strict),
            _worth("score (loose)", loose),
            Score(
                name="accuracy",
                values=headline.values,
                clusters=headline.clusters,
                complete=self.size,
            ),
            *steps,
            *(_rate(name, strict) for name in ("IK", "IG", "CM")),
            _rote("RM rate (strict)", strict),
            _rote("RM rate (loose)", loose),
        ]

    def groups(self, judged: Sequence[Judged]) -> list[Score]:
        """By concept, and by domain the mean over its concepts, as the published accuracy table has it."""
        scores = []
        for score in super().groups(judged):
            own = [one for one in judged if score.name in one.question.groups]
            sizes = Counter(one.question.groups[0] for one in own)
            weights = tuple(1 / sizes[one.question.groups[0]] for one in own)
            values = tuple(one.share * weight for one, weight in zip(own, weights, strict=True))
            scores.append(
                Score(name=score.name, values=values, clusters=score.clusters, weights=weights)
            )
        return scores


def _groups(row: Row) -> tuple[str, ...]:
    """The concept of a one-step question, and its domain if the published nodes lie beside the file."""
    concept = row.text("knowledge concept", default="").strip()
    domain = _domains(row.reader.root).get(concept) if row.reader.root is not None else None
    named = (("concept", concept), ("domain", domain))
    return tuple(f"{name}: {value}" for name, value in named if value)


@lru_cache(maxsize=4)
def _domains(folder: Path) -> dict[str, str]:
    """Concept to domain (`root2`), of knowledge_structure_nodes.json; {} without it. Raises DataError if it is broken."""
    path = folder / NODES
    if not path.is_file():
        return {}
    try:
        nodes = json.loads(path.read_text(encoding="utf-8"))
        return {node["full node"].rpartition("_")[2].strip(): node["root2"] for node in nodes}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is no list of nodes with 'full node' and 'root2' ({error}); download it again, or remove it"
        ) from error


def split_options(option: str) -> tuple[str, ...]:
    """ "A. 300, 400;B. 400, 300; C. ..." -> the texts, A first. A text may hold "P;C.;Q": only the next letter ends it."""
    starts: list[tuple[int, int]] = []  # where each option's separator begins, and its text
    position = 0
    for letter in LETTERS:
        found = list(re.finditer(rf"{';' if starts else ''}\s*{letter}\.", option[position:]))
        if not found:
            break
        # "C.;" alone is an empty option, unless another C with a text follows before the end.
        named = [
            one for one in found if not option[position + one.end() :].lstrip().startswith(";")
        ]
        first = (named or found)[0]
        starts.append((position + first.start(), position + first.end()))
        position += first.end()
    ends = [*(begin for begin, _ in starts[1:]), len(option)] if starts else []
    return tuple(
        option[begin:end].strip().rstrip(";").strip()
        for (_, begin), end in zip(starts, ends, strict=True)
    )


def _is_whole(rows: list[Judged]) -> bool:
    """Whether a composite problem and all of its steps were asked."""
    keys = {str(one.question.fields["key"]) for one in rows}
    steps = next(iter(keys)).split("steps")[0]
    wanted = {f"{steps}steps_multi", *(f"{steps}steps_{n}" for n in range(1, int(steps) + 1))}
    return wanted <= keys


def _classes(rows: list[Judged], *, is_strict: bool) -> list[str]:
    """The class of a composite problem in each sample."""
    return [_class(rows, sample, is_strict) for sample in range(len(rows[0].verdicts))]


def _class(rows: list[Judged], sample: int, is_strict: bool) -> str:
    is_right = {str(one.question.fields["key"]): one.verdicts[sample].is_correct for one in rows}
    whole = next(right for key, right in is_right.items() if key.endswith("multi"))
    steps = [right for key, right in is_right.items() if not key.endswith("multi")]
    if not whole:
        return "IG" if all(steps) else "IK"
    return "CM" if (all(steps) if is_strict else any(steps)) else "RM"


def _worth(name: str, classes: dict[str, list[str]]) -> Score:
    values = [sum(WORTH[found] for found in names) / len(names) for names in classes.values()]
    return Score(name=name, values=tuple(values), clusters=tuple(classes), complete=NUM_PROBLEMS)


def _rate(name: str, classes: dict[str, list[str]]) -> Score:
    values = [names.count(name) / len(names) for names in classes.values()]
    return Score(name=f"{name} rate", values=tuple(values), clusters=tuple(classes))


def _rote(name: str, classes: dict[str, list[str]]) -> Score:
    values = [names.count("RM") / len(names) for names in classes.values()]
    weights = [(names.count("RM") + names.count("CM")) / len(names) for names in classes.values()]
    return Score(name=name, values=tuple(values), clusters=tuple(classes), weights=tuple(weights))
