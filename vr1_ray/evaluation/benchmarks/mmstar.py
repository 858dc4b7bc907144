"""MMStar: 1,500 single-choice questions in six categories of 250, each needing its picture."""

import re

from vr1_ray.evaluation.base import Benchmark, Check, Question, Verdict
from vr1_ray.evaluation.choosing import choice_verdict, options_in
from vr1_ray.evaluation.extraction import Answer, as_choices, can_infer
from vr1_ray.evaluation.paper import MAX_ASKED, JudgeRequest, option_matching
from vr1_ray.evaluation.rows import Row

LETTERS = "ABCD"
_MARK = re.compile(r"<image(?: \d+)?>")


class MMStar(Benchmark):
    """Options are in the question (parquet) or in columns A to D (TSV)."""

    name = "mmstar"
    hub, split, size = "Lin-Chen/MMStar", "val", 1500
    files = ("mmstar.parquet", "MMStar.tsv")
    paper_judge = "gpt-3.5-turbo-0125"
    schema_source = (
        "re-uploads of Lin-Chen/MMStar's table and lmms-eval's tasks/mmstar; columns A to D of VLMEvalKit's TSV "
        "unconfirmed"
    )

    def question(self, row: Row) -> Question:
        options = tuple(row.text(letter, default="") for letter in LETTERS if row.has(letter))
        text = _MARK.sub("", row.text("question")).strip()
        hint = row.text("hint", default="")
        if options:
            lines = [f"{letter}. {option}" for letter, option in as_choices(options).items()]
            text = (f"Hint: {hint}\n" if hint else "") + f"Question: {text}\nOptions:\n"
            text += "\n".join(lines) + "\nPlease select the correct answer from the options above."
        return self.make_question(
            row,
            question_id=row.text("index", default=str(row.number)),
            text=text,
            answer=row.text("answer").upper(),
            images=row.images("image"),
            choices=options or options_in(text),
            labels=(row.text("category"),),
        )

    def check(self, question: Question, answer: Answer) -> Verdict:
        return choice_verdict(answer, question.choices or ("",) * 4, question.answer)

    def paper_check(self, question: Question, prediction: str) -> Check:
        choices = as_choices(question.choices or ("",) * 4)
        found = can_infer(prediction, choices)
        rule = "harness: read by rule"
        options = " ".join(f"{letter}. {text}" for letter, text in choices.items())
        text = option_matching(question.words, options, prediction)
        for _ in range(3):
            if found is not None:
                break
            reply = yield JudgeRequest(text=text, calls=MAX_ASKED)
            found, rule = can_infer(reply or "", choices), "harness: matched by the judge"
        # Then the harness draws an option at random; here the question counts as wrong.
        return Verdict(is_correct=found == question.answer, rule=rule, extracted=found or "")
