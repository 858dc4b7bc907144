"""Does the policy look at its pictures? The arithmetic of the blindness probe: plain numbers in, figures and an alarm out.

A few prompts are answered greedily three times: with their own picture, with a grey one of the same size, and with
another prompt's picture scaled to that size. The response y (T tokens) written with the own picture is then scored
under all three:

    logprob(picture) = 1/T  sum_t  log p(y_t | picture, question, y_<t)          nats per token, temperature 1
    drop             = logprob(own) - max(logprob(grey), logprob(other))         what the own picture is worth to it

    the policy LOOKS, in a question, if            drop >= min_logprob_drop
    a question NEEDS ITS PICTURE if                it looks, and is not right with both of the others as well

A policy that does not look writes the same whatever is shown, so that its drop is about 0: vr1-tiny has a mean drop of
0.28 and looks in 10 of 16 questions of the quickstart; after 40 updates on grey pictures the largest drop of 16 is 0.014.
That the policy looks says nothing of whether it had to: a question whose answer stands in its text is right with any
picture.
Who asks and scores: `loops/blindness.py` in an RL run, `commands/probe.py` for `vr1 check --probe`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple


class ByPicture(NamedTuple):
    """A number for each picture that was shown."""

    own: float
    grey: float
    other: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What was found of one question.

    Example:
        Look(prompt_id="9f0c", correct=ByPicture(1, 0, 0), logprob=ByPicture(-0.1, -0.4, -0.9))
    """

    prompt_id: str
    correct: ByPicture  # 1 if the response written with that picture is right, else 0
    logprob: ByPicture  # mean per token of the response written with the own picture

    @property
    def drop(self) -> float:
        """Nats per token that the response loses with the kinder of the two wrong pictures."""
        return self.logprob.own - max(self.logprob.grey, self.logprob.other)


def looks(look: Look, min_drop: float) -> bool:
    """Whether the response depends on the picture. What is no number depends on nothing."""
    return look.drop >= min_drop


def needs_picture(look: Look, min_drop: float) -> bool:
    """Whether the question can't be answered without its picture, so far as this policy can tell."""
    return looks(look, min_drop) and not (look.correct.grey and look.correct.other)


def blindness_figures(found: Sequence[Look], min_drop: float) -> dict[str, float]:
    """The means over the questions, by their names in METRICS.md; none without a question."""
    if not found:
        return {}
    figures = {
        "looks_rate": fmean(looks(one, min_drop) for one in found),
        "needs_picture_rate": fmean(needs_picture(one, min_drop) for one in found),
        "logprob_drop": fmean(one.drop for one in found),
        "questions": float(len(found)),
    }
    for picture in ByPicture._fields:
        suffix = "" if picture == "own" else f"_{picture}"
        figures[f"accuracy{suffix}"] = fmean(getattr(one.correct, picture) for one in found)
        figures[f"logprob{suffix}"] = fmean(getattr(one.logprob, picture) for one in found)
    return {f"blindness/{name}": value for name, value in figures.items()}


def blindness_alarm(figures: Mapping[str, float], alarm_looks_rate: float) -> str:
    """What the user must hear if the policy looks in no more than that share of the questions; else ""."""
    rate = figures.get("blindness/looks_rate")
    if rate is None or rate > alarm_looks_rate:
        return ""
    return (
        f"the policy does not look at its pictures: only in {rate:.0%} of {figures['blindness/questions']:.0f} questions "
        f"does its response depend on them (limit blindness.alarm_looks_rate {alarm_looks_rate:.0%}). Its pictures may "
        "not arrive, or it learnt without them; look at saved rollouts, data.images_column and model.max_pixels"
    )


def blindness_text(figures: Mapping[str, float]) -> str:
    """What was found, in one line: the share of questions, accuracy and log-probability with the three pictures."""

    def three(name: str, form: str) -> str:
        suffixes = ("", "_grey", "_other")
        own, grey, other = (format(figures[f"blindness/{name}{end}"], form) for end in suffixes)
        return f"{own} with the picture, {grey} with a grey one, {other} with another's"

    return (
        f"{figures['blindness/needs_picture_rate']:.0%} of {figures['blindness/questions']:.0f} questions need their "
        f"picture; accuracy {three('accuracy', '.2f')}; log-probability a token {three('logprob', '.3f')}"
    )
