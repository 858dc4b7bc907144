"""A reward that raises is told, counted and kept, however it raises; above a small share it ends the run."""

import pickle

import pytest

from tests.unit.rewards.samples import reward_input as sample
from vr1_ray.actors.rewards.reward_actor import InvalidReward, RewardActor
from vr1_ray.actors.rollouts.invalid_rollouts import InvalidRollouts, InvalidRolloutsError
from vr1_ray.actors.rollouts.sample_request import SampleRequest, StepBooks
from vr1_ray.config import InvalidRolloutsConfig
from vr1_ray.rewards import FunctionReward, RewardError, RewardUnavailableError, combine_batch
from vr1_ray.tracking.sinks import ConsoleSink
from vr1_ray.types import Prompt, SamplingSpec, Stage

STAGE = Stage(number=1, max_response_tokens=8, group_size=4, steps=1)


def request(step=3):
    return SampleRequest(
        order=0,
        prompt=Prompt(prompt_id="9f0c", question="How many?"),
        prompt_ref=None,
        spec=SamplingSpec(max_response_tokens=8, group_size=4),
        stage=STAGE,
        step=step,
        indices=(0, 1, 2, 3),
    )


def outcomes_of(reward):
    """What the actor of a pool says of two rollouts."""
    actor = RewardActor.__new__(RewardActor)  # without a process of its own
    actor.rewards = [("mine", 1.0, FunctionReward(reward))]
    return actor._outcomes([sample("1"), sample("2")])


def raises_key_error(_):
    return {}["answer"]


def raises_zero_division(_):
    return 1 / 0


def gives_a_text(_):
    return "0.5"


def gives_nan(_):
    return float("nan")


def recurses(item):
    return recurses(item)


def asserts(_):
    raise AssertionError


def is_down(_):
    raise RewardUnavailableError("the judge is down")


@pytest.mark.parametrize(
    ("reward", "kind"),
    [
        (raises_key_error, "KeyError"),
        (raises_zero_division, "ZeroDivisionError"),
        (gives_a_text, "ValueError"),
        (gives_nan, "ValueError"),
        (recurses, "RecursionError"),
        (asserts, "AssertionError"),
    ],
)
def test_every_exception_is_told_at_once_with_file_line_and_count_and_kept(tmp_path, reward, kind):
    notes, log, books = [], tmp_path / "logs" / "reward_errors.log", StepBooks(num_samples=10_000)
    invalid = InvalidRollouts(InvalidRolloutsConfig(), note=notes.append, log=log)
    outcomes = outcomes_of(reward)
    for _ in range(50):
        for outcome in outcomes:
            invalid.count(books, request(), outcome)
    assert len(notes) == 3  # at the 1st, 10th and 100th
    assert all(f"{__file__}, line " in note and kind in note for note in notes)
    assert ["times so far" in note for note in notes] == [False, True, True]
    assert "100 times so far" in notes[2]
    assert str(log) in notes[0]
    assert log.read_text().count("Traceback (most recent call last)") == 3  # each alone
    assert books.metrics()["invalid/raised"] == 100.0


def test_what_is_unavailable_is_no_fault_and_is_not_told_by_exception():
    notes, books = [], StepBooks(num_samples=100)
    invalid = InvalidRollouts(InvalidRolloutsConfig(), note=notes.append)
    for outcome in outcomes_of(is_down):
        invalid.count(books, request(), outcome)
    assert notes == []
    assert (books.metrics()["invalid/rollouts"], books.metrics()["invalid/raised"]) == (2.0, 0.0)


@pytest.mark.parametrize(
    ("samples", "rate", "allowed"),
    [(100, 0.05, 5), (256, 0.05, 12), (12, 0.05, 1), (12, 0.0, 0), (12, 1.0, 12), (100, 0.055, 5)],
)
def test_the_run_ends_with_one_more_than_the_share_allows(samples, rate, allowed):
    config = InvalidRolloutsConfig(max_rate=1.0, max_error_rate=rate)
    invalid, books = InvalidRollouts(config, note=lambda _: None), StepBooks(num_samples=samples)
    outcome = outcomes_of(raises_key_error)[0]
    for _ in range(allowed):
        invalid.count(books, request(), outcome)
    if rate == 1.0:
        return
    with pytest.raises(InvalidRolloutsError) as error:
        invalid.count(books, request(), outcome)
    first, told = str(error.value).splitlines()
    assert first.startswith("reward 'mine' failed at ")
    assert f"raised for {allowed + 1} of {samples} rollouts" in told


def test_a_log_that_cannot_be_written_is_told_and_ends_nothing(tmp_path):
    (tmp_path / "logs").write_text("a file in the way")
    notes = []
    invalid = InvalidRollouts(
        InvalidRolloutsConfig(), note=notes.append, log=tmp_path / "logs" / "reward_errors.log"
    )
    invalid.count(StepBooks(num_samples=100), request(), outcomes_of(raises_key_error)[0])
    assert "could not be written" in notes[0]
    assert "KeyError" in notes[1]


def test_a_fault_is_the_same_for_every_prompt_and_crosses_processes():
    faults = set()
    for text in ("1", "2"):
        with pytest.raises(RewardError) as error:
            combine_batch([("mine", 1.0, FunctionReward(raises_key_error))], [sample(text)])
        faults.add(pickle.loads(pickle.dumps(error.value)).fault)
    [fault] = faults
    assert fault.startswith(f"reward 'mine' raised KeyError at {__file__}, line ")
    assert InvalidReward(reason="x").fault == ""


def test_the_line_of_a_step_has_what_is_invalid_where_something_is():
    line = ConsoleSink(10).line
    assert "invalid 3" in line(1, {"reward/mean": 0.5, "invalid/rollouts": 3.0})
    assert "invalid" not in line(1, {"reward/mean": 0.5, "invalid/rollouts": 0.0})
