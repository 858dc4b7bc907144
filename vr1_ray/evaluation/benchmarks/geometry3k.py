"""Geometry3K in its RL form: three columns, or six with the options. Our checker, and letters where options are known."""

from vr1_ray.evaluation.base import Benchmark, Question, Verdict, by_checker
from vr1_ray.evaluation.choosing import choose
from vr1_ray.evaluation.extraction import Answer, as_choices
from vr1_ray.evaluation.rows import Row


class Geometry3K(Benchmark):
    """601 questions; the options are not shown to the policy."""

    name = "geometry3k"
    hub, split, size = "hiyouga/geometry3k", "test", 601
    schema_source = (
        "hub card of hiyouga/geometry3k (columns); that `problem` starts with <image> and `answer` is the option's "
        "text from third-party loaders"
    )
    warning = "part of Vision-R1-rl and of Vision-R1-cold: a policy trained on these has seen it"

    def question(self, row: Row) -> Question:
        return self.make_question(
            row,
            question_id=row.text("id", default=str(row.number)),
            text=row.text("problem"),
            answer=row.text("answer"),
            images=row.images("images"),
            choices=row.items("choices"),
        )

    def check(self, question: Question, answer: Answer) -> Verdict:
        verdict = by_checker(answer, question.answer)
        if verdict.is_correct or not question.choices:
            return verdict
        chosen = choose(answer, question.choices)
        text = as_choices(question.choices).get(chosen.letter)
        if text is not None and text == question.answer:
            return Verdict(is_correct=True, rule=chosen.rule, extracted=chosen.letter)
        return verdict
