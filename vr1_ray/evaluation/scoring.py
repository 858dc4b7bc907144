"""Responses to verdicts to rows and scores: everything after sampling, so it can be done again without an engine."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from vr1_ray.config import EvalConfig
from vr1_ray.evaluation import paper
from vr1_ray.evaluation.base import (
    Benchmark,
    Check,
    Judged,
    Question,
    Verdict,
)
from vr1_ray.evaluation.extraction import NO_ANSWER
from vr1_ray.evaluation.judge import MISSING, Judge, honest_check, is_by_judge, settle
from vr1_ray.evaluation.responses import Response
from vr1_ray.evaluation.statistics import Score, pass_scores

NO_RESPONSE = "no response: the endpoint gave none"
TOO_LONG = "not asked: prompt and response budget exceed model.max_model_len"


def judge_responses(
    benchmark: Benchmark,
    questions: Sequence[Question],
    responses: Mapping[str, Sequence[Response]],
    config: EvalConfig,
    judge: Judge | None,
) -> list[Judged]:
    """Every question with its verdicts, in order. A question without a response was too long to ask: wrong.

    Raises JudgeError if too many judgements are missing.
    """
    checks: list[Check] = []
    sizes = []
    for question in questions:
        samples = responses.get(question.question_id, ())
        sizes.append(len(samples))
        for sample in samples:
            checks.append(_check(benchmark, question, sample, config, has_judge=judge is not None))
    verdicts = iter(settle(checks, judge))
    judged = []
    for question, size in zip(questions, sizes, strict=True):
        own = tuple(next(verdicts) for _ in range(size))
        rule = NO_RESPONSE if config.policy.model else TOO_LONG
        not_asked = (Verdict(is_correct=False, rule=rule),) * config.num_samples
        judged.append(Judged(question=question, verdicts=own or not_asked))
    return judged


def _check(
    benchmark: Benchmark,
    question: Question,
    response: Response,
    config: EvalConfig,
    *,
    has_judge: bool,
) -> Check:
    if config.protocol == "paper":
        return benchmark.paper_check(question, paper.prediction_of(response.response))
    return honest_check(
        benchmark, question, response.response, is_cut=response.is_cut, has_judge=has_judge
    )


def rows_of(
    judged: Sequence[Judged],
    responses: Mapping[str, Sequence[Response]],
    image_names: Mapping[str, str],
) -> list[dict[str, Any]]:
    """One row per response, for the JSONL: what was asked, said, found in it, and by which rule it was judged."""
    rows = []
    for one in judged:
        question = one.question
        samples = responses.get(question.question_id, ())
        for number, verdict in enumerate(one.verdicts):
            sample = samples[number] if number < len(samples) else None
            rows.append(
                {
                    "question_id": question.question_id,
                    "sample": number,
                    "prompt": question.prompt.question,
                    "images": [image_names[image.content_hash] for image in question.prompt.images],
                    "source": question.prompt.metadata["source"],
                    "labels": list(question.labels),
                    "answer": question.answer,
                    "choices": list(question.choices),
                    "response": sample.response if sample else "",
                    "tokens": sample.tokens if sample else 0,
                    "is_cut": sample.is_cut if sample else False,
                    "times_asked": sample.times_asked if sample else 0,
                    "extracted": verdict.extracted,
                    "is_correct": verdict.is_correct,
                    "rule": verdict.rule,
                    "is_decided": verdict.is_decided,
                }
            )
    return rows


def result_of(
    name: str,
    benchmark: Benchmark,
    judged: Sequence[Judged],
    rows: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Figures of one benchmark as JSON holds them: scores with intervals, and what they rest on."""
    scores = [*benchmark.scores(judged), *pass_scores(judged)]
    without_judge = [
        Judged(
            question=one.question,
            verdicts=tuple(_without_judge(verdict) for verdict in one.verdicts),
        )
        for one in judged
    ]
    by_rules = benchmark.scores(without_judge)[0].value
    rules = Counter(str(row["rule"]) for row in rows)
    return {
        "name": name,
        "benchmark": benchmark.name,
        "num_questions": len(judged),
        "num_published": benchmark.size,
        "num_samples": max((len(one.verdicts) for one in judged), default=0),
        "warning": benchmark.warning,
        "scores": {
            score.name: score_entry(score) | {"no_answer": _no_answer(score.name, judged)}
            for score in scores
        },
        "groups": {score.name: score_entry(score) for score in benchmark.groups(judged)},
        "headline": benchmark.headline,
        "main": list(benchmark.main_labels),
        "headline_without_judge": by_rules,
        "cut": sum(bool(row["is_cut"]) for row in rows),
        "undecided": sum(not row["is_decided"] for row in rows),
        "judged": sum(is_by_judge(str(row["rule"])) for row in rows),
        "missing_judgements": rules[MISSING],
        "not_asked": rules[TOO_LONG],
        "no_response": rules[NO_RESPONSE],
        "asked_again": sum(int(row["times_asked"]) > 1 for row in rows),
        "rules": dict(rules.most_common()),
        "mean_tokens": sum(int(row["tokens"]) for row in rows) / len(rows) if rows else None,
    }


def score_entry(score: Score) -> dict[str, Any]:
    """A score as JSON holds it."""
    has_interval = score.has_interval and score.value is not None
    return {
        "value": score.value,
        "interval": list(score.interval()) if has_interval else None,
        "num": len(score.values),
        "complete": score.complete,
    }


def _no_answer(label: str, judged: Sequence[Judged]) -> int:
    """How many responses answer nothing that could be read, of those that count in a score."""
    counted = [one for one in judged if label in one.question.labels] or judged
    return sum(verdict.rule in NO_ANSWER for one in counted for verdict in one.verdicts)


def _without_judge(verdict: Verdict) -> Verdict:
    if not is_by_judge(verdict.rule):
        return verdict
    return Verdict(is_correct=False, rule=verdict.rule, is_decided=False)
