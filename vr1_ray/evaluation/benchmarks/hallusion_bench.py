"""HallusionBench: yes or no about pictures and their edited twins; right questions, figures and question groups.

aAcc is the share of questions, fAcc of figures with all questions right (VS figure 0 is none), qAcc of question groups
with all right. The headline is the mean of the three, as leaderboards report it (a convention, unconfirmed in the
paper). Published rows are of the 951 questions with a picture only: `overall (with picture)` stands beside them. The published scorer asks a language model; here yes and no are read by rule.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

from vr1_ray.evaluation.base import Benchmark, Check, Judged, Question, Verdict
from vr1_ray.evaluation.extraction import Answer
from vr1_ray.evaluation.paper import judge_tries
from vr1_ray.evaluation.rows import Row
from vr1_ray.evaluation.statistics import Score
from vr1_ray.evaluation.yes_no import yes_no_verdict, yes_or_no

PICTURES = "overall (with picture)"
_YES_NO = {"1": "Yes", "0": "No", "yes": "Yes", "no": "No"}


class HallusionBench(Benchmark):
    """1,129 questions, 178 of them without a picture (the TSV has those with one)."""

    name = "hallusion_bench"
    hub, split, size = "lmms-lab/HallusionBench", "image", 1129
    splits = ("image", "non_image")
    hubs_moved = ("lmms-lab-encoder/HallusionBench",)
    paper_judge = "gpt-3.5-turbo-0125"
    files = ("HallusionBench.tsv", "HallusionBench.json")
    schema_source = (
        "hub card of lmms-lab/HallusionBench, tianyi-lab/HallusionBench @ 744007c HallusionBench.json; the TSV's index "
        "form (VD_illusion_1_0_0_0) unconfirmed"
    )
    main_labels: ClassVar[tuple[str, ...]] = (PICTURES, "aAcc", "fAcc", "qAcc")

    def question(self, row: Row) -> Question:
        parts = row.text("index", default="").split("_")
        if len(parts) >= 6:
            category, subcategory = parts[0], "_".join(parts[1:-4])
            set_id, figure_id, question_id = parts[-3:]
        else:
            category, subcategory = row.text("category"), row.text("subcategory")
            set_id, figure_id = row.text("set_id"), row.text("figure_id")
            question_id = row.text("question_id")
        place = (category, subcategory, set_id)
        images = row.images("image") or self._file_image(row)
        has_picture = bool(images) or row.text("visual_input", default="0") not in ("", "0")
        answer = row.text("gt_answer", "answer").lower()
        return self.make_question(
            row,
            question_id="_".join((*place, figure_id, question_id)),
            text=row.text("question"),
            answer=_YES_NO.get(answer, answer),
            images=images,
            labels=(category, subcategory, *(("with picture",) if has_picture else ())),
            cluster="_".join(place),
            fields={
                "figure": "_".join((*place, figure_id)),
                "group": "_".join((*place, question_id)),
                "has_figure": not (category == "VS" and figure_id == "0"),
                "details": row.text("gt_answer_details", default=""),
            },
        )

    def _file_image(self, row: Row) -> tuple:
        """The official JSON names files, "./VS/chart/0_1.png"."""
        name = row.text("filename", default="")
        return (row.reader.read(name.removeprefix("./")),) if name else ()

    def check(self, question: Question, answer: Answer) -> Verdict:
        return yes_no_verdict(answer, question.answer)

    def paper_check(self, question: Question, prediction: str) -> Check:
        found, rule = yes_or_no(prediction), "harness: read by rule"
        if not found:
            text = (
                "You are an AI assistant who will help me to match an answer with two options of a question: Yes or No. "
                "If the answer says neither, output Unknown. Output one word: Yes, No or Unknown.\nQuestion: "
                f"{question.words}\nAnswer: {prediction}\nYour output: "
            )
            reply = yield from judge_tries(text, accepts=lambda reply: bool(yes_or_no(reply)))
            found, rule = yes_or_no(reply), "harness: matched by the judge"
        return Verdict(is_correct=found == question.answer, rule=rule, extracted=found)

    def scores(self, judged: Sequence[Judged]) -> list[Score]:
        overall, *labels = super().scores(judged)
        _, figures, groups = _thirds(judged)
        questions = Score(
            name="aAcc", values=overall.values, clusters=overall.clusters, complete=self.size
        )
        headline = _mean("overall", [questions, figures, groups])
        shown = [one for one in judged if "with picture" in one.question.labels]
        with_picture = [_mean(PICTURES, _thirds(shown))] if shown else []
        return [headline, *with_picture, questions, figures, groups, *labels]


def _thirds(judged: Sequence[Judged]) -> list[Score]:
    """aAcc, fAcc and qAcc of some of the questions."""
    with_figure = [one for one in judged if one.question.fields["has_figure"]]
    return [
        Score.mean_of("aAcc", judged),
        _all_right("fAcc", with_figure, "figure"),
        _all_right("qAcc", judged, "group"),
    ]


def _mean(name: str, scores: Sequence[Score]) -> Score:
    parts = [score.value for score in scores if score.value is not None]
    return Score(
        name=name, values=(sum(parts) / len(parts),), clusters=("all",), has_interval=False
    )


def _all_right(name: str, judged: Sequence[Judged], field: str) -> Score:
    """The share of groups in which every question is right, mean over samples."""
    groups: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        groups[one.question.fields[field]].append(one)
    values = []
    for rows in groups.values():
        samples = range(len(rows[0].verdicts))
        whole = [all(one.verdicts[sample].is_correct for one in rows) for sample in samples]
        values.append(sum(whole) / len(whole))
    clusters = tuple(rows[0].question.cluster for rows in groups.values())
    return Score(name=name, values=tuple(values), clusters=clusters)
