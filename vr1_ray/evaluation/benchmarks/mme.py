"""MME: two yes-or-no questions to each picture, fourteen categories of perception and cognition.

Of a category counts the share of right questions plus the share of pictures with both right: 200 points, so 2,000 for
perception and 800 for cognition. Here they are shares of these points, as all our scores are shares.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

from vr1_ray.evaluation.base import Benchmark, Judged, Question, Verdict
from vr1_ray.evaluation.extraction import Answer
from vr1_ray.evaluation.rows import Row
from vr1_ray.evaluation.statistics import Score
from vr1_ray.evaluation.yes_no import yes_no_verdict

COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")


class MME(Benchmark):
    """2,374 questions to 1,187 pictures."""

    name = "mme"
    hub, split, size = "lmms-lab/MME", "test", 2374
    files = ("MME.tsv",)
    schema_source = (
        "columns as read by lmms-eval's tasks/mme (question_id, category, question, answer, image) and by VLMEvalKit's "
        "MME_rating (category, image_path); number of rows and the TSV's further columns unconfirmed"
    )
    headline: ClassVar[str] = "score"
    main_labels: ClassVar[tuple[str, ...]] = ("perception", "cognition", "accuracy")

    def question(self, row: Row) -> Question:
        category = row.text("category")
        images = row.images("image")
        pair = row.text(
            "question_id", "image_path", default=images[0].content_hash if images else ""
        )
        return self.make_question(
            row,
            question_id=row.text("index", default=str(row.number)),
            text=row.text("question"),
            answer=row.text("answer").rstrip(".").capitalize(),
            images=images,
            labels=(category,),
            cluster=f"{category}/{pair}",
        )

    def check(self, question: Question, answer: Answer) -> Verdict:
        return yes_no_verdict(answer, question.answer)

    def scores(self, judged: Sequence[Judged]) -> list[Score]:
        points: dict[str, Score] = {}
        for category in dict.fromkeys(one.question.labels[0] for one in judged):
            points[category] = _points(
                category, [x for x in judged if x.question.labels[0] == category]
            )
        return [
            _mean("score", list(points.values())),
            *(
                _mean(
                    name,
                    [score for key, score in points.items() if (key in COGNITION) is is_cognition],
                )
                for name, is_cognition in (("perception", False), ("cognition", True))
            ),
            Score.mean_of("accuracy", judged, self.size),
            *points.values(),
        ]


def _points(category: str, judged: Sequence[Judged]) -> Score:
    """Per picture half the share of its questions that are right, and half for all of them: the mean over samples."""
    pictures: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        pictures[one.question.cluster].append(one)
    values, weights = [], []
    num_questions = len(judged)
    for rows in pictures.values():
        whole = [
            all(one.verdicts[n].is_correct for one in rows) for n in range(len(rows[0].verdicts))
        ]
        share = sum(one.share for one in rows) / num_questions + sum(whole) / len(whole) / len(
            pictures
        )
        values.append(share / 2)
        weights.append((len(rows) / num_questions + 1 / len(pictures)) / 2)
    return Score(
        name=category, values=tuple(values), clusters=tuple(pictures), weights=tuple(weights)
    )


def _mean(name: str, scores: Sequence[Score]) -> Score:
    """The mean over categories, each of which has as many points; nothing without one."""
    values = [score.value for score in scores if score.value is not None]
    return Score(
        name=name,
        values=tuple(values),
        clusters=tuple(one.name for one in scores),
        has_interval=False,
    )
