"""Yes or no, as the benchmarks read it that ask for nothing else."""

import re

from vr1_ray.evaluation.base import Verdict
from vr1_ray.evaluation.extraction import Answer

_DENIED = re.compile(r"\b(?:not|never|neither)\s+(?:a\s+)?[\"'*]*(?:yes|no)\b", re.IGNORECASE)


def yes_or_no(text: str) -> str:
    """ "Yes" or "No" if exactly one of the words occurs; else ""."""
    words = re.sub(r"[^\w\s]", " ", text.lower()).split()
    if ("yes" in words) == ("no" in words):
        return ""
    return "Yes" if "yes" in words else "No"


def yes_no_verdict(answer: Answer, correct: str) -> Verdict:
    """The verdict on an answer; `correct` is "Yes" or "No"."""
    if not answer.text:
        return Verdict(is_correct=False, rule=answer.how, is_decided=answer.is_final)
    found = "" if _DENIED.search(answer.text) else yes_or_no(answer.text)
    return Verdict(
        is_correct=bool(found) and found == correct,
        rule="yes or no" if found else "neither yes nor no",
        extracted=found or answer.text,
        is_decided=bool(found),
    )
