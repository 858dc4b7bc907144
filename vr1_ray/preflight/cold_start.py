"""Whether a cold start's demonstrations teach what RL will pay for: format, answers, pictures and lengths, counted.

A policy that learnt from responses without <think> and <answer> blocks writes none, so that GRPO with the hard format
reward earns nothing for ever. `data.max_unrewarded_share` is how many may be so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from vr1_ray.answers import accuracy_of
from vr1_ray.config import ConfigError, RunConfig
from vr1_ray.config.demand import enabled_stages
from vr1_ray.data.refusals import shortened
from vr1_ray.preflight.table import CheckRow
from vr1_ray.preflight.token_counts import Lengths
from vr1_ray.rewards import parse_response
from vr1_ray.types import Demonstration
from vr1_ray.wording import counted

FORMAT_REWARDS = ("hard_format", "soft_format_result")  # those that pay for the two blocks
FORMAT = "<think> ... </think><answer> ... </answer>"
NUM_SHOWN = 5  # rows that a message names


@dataclass(frozen=True, kw_only=True)
class Taught:
    """What demonstrations would earn, row by row; those without the format are in no other list of unrewarded ones.

    Example:
        taught = examine(demonstrations, config)
        taught.unrewarded, taught.share    # [(demonstration, "no format"), ...], 0.25
    """

    num_rows: int
    has_format_reward: bool
    formless: list[Demonstration]
    wrong: list[Demonstration]  # well formed, but its answer is not the row's
    num_known: int  # rows that have a reference answer beside the response
    pictureless: list[Demonstration]

    @property
    def unrewarded(self) -> list[tuple[Demonstration, str]]:
        """The rows that would earn nothing, and why; those without the format first."""
        formless = [(one, f"no format, {shortened(one.response, 40)}") for one in self.formless]
        wrong = [
            (one, f"answers {shortened(one.prompt.answer, 40)}, not {shortened(one.reference, 40)}")
            for one in self.wrong
        ]
        return formless + wrong

    @property
    def share(self) -> float:
        return (len(self.formless) + len(self.wrong)) / max(1, self.num_rows)

    def check(self, max_share: float) -> None:
        """Raise ConfigError if more than `max_share` of the rows would earn nothing."""
        if self.share <= max_share:
            return
        found = self.unrewarded
        rows = "".join(f"\n  {one.source}: {why}" for one, why in found[:NUM_SHOWN])
        raise ConfigError(
            f"data.max_unrewarded_share: {max_share:g}, but {len(found):,} of {self.num_rows:,} demonstrations "
            f"({self.share:.1%}) would earn no reward: {len(self.formless):,} have not the format {FORMAT}, "
            f"{len(self.wrong):,} have a wrong answer. A policy that learns from them earns nothing in RL. The first:"
            f"{rows}\nWrite the responses in that format with right answers (`vr1 bridge` does), or set "
            "data.max_unrewarded_share=1 for a cold start without chains or with a format of its own"
        )

    def line(self) -> str:
        """The counts, for the log of a run."""
        return (
            f"of {counted(self.num_rows, 'demonstration')} {_format_text(self)}, {_answers_text(self)}, "
            f"{len(self.pictureless)} without a picture"
        )


def examine(
    demonstrations: Sequence[Demonstration], config: RunConfig, ahead: RunConfig | None = None
) -> Taught:
    """Count what the demonstrations teach. `ahead`: the RL run that follows, whose rewards decide; else the run's own."""
    rewards = (ahead or config).rewards
    has_format_reward = any(spec.name in FORMAT_REWARDS and spec.weight > 0 for spec in rewards)
    formless = [
        one for one in demonstrations if has_format_reward and parse_response(one.response) is None
    ]
    apart = set(map(id, formless))
    known = [one for one in demonstrations if one.reference]
    return Taught(
        num_rows=len(demonstrations),
        has_format_reward=has_format_reward,
        formless=formless,
        wrong=[
            one
            for one in known
            if id(one) not in apart and not accuracy_of(one.response, one.reference)
        ],
        num_known=len(known),
        pictureless=[one for one in demonstrations if not one.prompt.images],
    )


def taught_rows(taught: Taught, max_share: float) -> Iterator[CheckRow]:
    """Rows of `vr1 check` about format, answers and pictures."""
    problem = ""
    try:
        taught.check(max_share)
    except ConfigError as error:
        problem = "\n    ".join(str(error).split("\n"))
    yield CheckRow(
        name="demonstrations: unrewarded",
        value=f"{len(taught.formless) + len(taught.wrong):,} of {taught.num_rows:,}",
        limit=f"{max_share:.0%}",
        status="bad" if problem else "ok",
        cure=problem,
    )
    yield CheckRow(name="demonstrations: format", value=_format_text(taught))
    yield CheckRow(name="demonstrations: answers", value=_answers_text(taught))
    some = 0 < len(taught.pictureless) < taught.num_rows
    first = taught.pictureless[0].source if some else ""
    yield CheckRow(
        name="demonstrations: pictures",
        value=f"{counted(len(taught.pictureless), 'row')} without one",
        status="warning" if some else "ok",
        cure=f"the first is {first}; if it had a picture, look at data.images_column"
        if some
        else "",
    )


def cap_of(config: RunConfig, ahead: RunConfig | None = None) -> int | None:
    """The response budget of the first stage of the RL run that follows, if one is known."""
    stages = enabled_stages(ahead or config)
    return stages[0].max_response_tokens if stages else None


def length_line(lengths: Sequence[Lengths], cap: int | None) -> str:
    """How long the responses are, and how many of them stage 1 would cut."""
    tokens = [response for _, response in lengths]
    text = f"responses {min(tokens)} to {counted(max(tokens), 'token')}, mean {fmean(tokens):.0f}"
    if cap is None:
        return text
    return f"{text}; {sum(length > cap for length in tokens):,} over stage 1's {cap:,}"


def length_row(lengths: Sequence[Lengths], cap: int | None, alarm_share: float) -> CheckRow:
    """A row about that; a warning if stage 1 would cut nearly all, `alarm_share` of them."""
    is_cut = cap is not None and fmean(own > cap for _, own in lengths) >= alarm_share
    return CheckRow(
        name="demonstrations: lengths",
        value=length_line(lengths, cap),
        limit="-" if cap is None else f"{cap:,}",
        status="warning" if is_cut else "ok",
        cure="stage 1 cuts what the cold start teaches, and a cut response earns nothing; raise its "
        "max_response_tokens, or write shorter demonstrations"
        if is_cut
        else "",
    )


def run_ahead(runs: Sequence[RunConfig], run: RunConfig) -> RunConfig | None:
    """Of a recipe's runs the next RL after a cold start: the one that starts from its policy, else the first."""
    later = [one for one in runs[_place(runs, run) + 1 :] if one.kind == "rl"]
    own = [one for one in later if one.model.path == str(run.folder / "policy")]
    return next(iter(own + later), None)


def _place(runs: Sequence[RunConfig], run: RunConfig) -> int:
    return next((place for place, one in enumerate(runs) if one is run), len(runs))


def _format_text(taught: Taught) -> str:
    if not taught.has_format_reward:
        return "format not counted (no format reward in `rewards`)"
    return f"{len(taught.formless):,} without the format"


def _answers_text(taught: Taught) -> str:
    if not taught.num_known:
        return "no reference answers to compare with"
    return f"{len(taught.wrong):,} wrong of {taught.num_known:,} known answers"
