import pytest

from tests.unit.rewards.samples import GOOD, reward_input
from vr1_ray.config import RewardSpec
from vr1_ray.rewards import Reward, combine, hard_format_reward, make_rewards, parse_response
from vr1_ray.types import RewardOutput


class Length(Reward):
    def __init__(self, scale: float = 1.0):
        self.scale = scale

    def score(self, reward_input):
        return RewardOutput(value=self.scale * len(reward_input.response), parts={"accuracy": 9.0})


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "\n<think></think>\n\n<answer>3</answer>\n",
        "<think> <Think> and <answer id=1> are text </think><answer>3</answer>",
        "<think> </THINK> < think> </ answer> </think>\r\n\t<answer>3</answer>",
        "<think>a</think><answer>a < 3, not <b>4</b></answer>",
    ],
)
def test_a_well_formed_response_parses(text):
    assert parse_response(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3",
        "<think>a</think>",
        "<think>a</think><answer>3",
        "<think>a</think><answer> </answer>",
        "<answer>3</answer><think>a</think>",
        "<think>a</think><answer>3</answer><answer>3</answer>",
        "<think>a<think></think><answer>3</answer>",
        "<think>a</think> so <answer>3</answer>",
        "So <think>a</think><answer>3</answer>",
        "<think>a</think><answer>3</answer>.",
        "<Think>a</Think><answer>3</answer>",
        "<think a=1>a</think><answer>3</answer>",
        "<think><answer>3</answer></think>",
        "<think>a</think><answer>3</answer><think>",
        "<think>a</think><ANSWER>3</ANSWER>",
        "<think>a</think><answer>3</answer id=1>",
        "<think>the tag </think> ends it</think><answer>3</answer>",
        "<think>a</think></answer>3<answer>",
    ],
)
def test_anything_else_does_not_parse(text):
    assert parse_response(text) is None


def test_the_hard_reward_wants_finish_format_and_right_answer_at_once():
    assert hard_format_reward(GOOD, "3") == 1.0
    assert hard_format_reward(GOOD, "4") == 0.0
    assert hard_format_reward(GOOD, "3", finished=False) == 0.0
    assert hard_format_reward("3", "3") == 0.0


def test_an_answer_too_large_to_check_earns_nothing_and_is_counted():
    rewards = make_rewards([RewardSpec(name="hard_format")])
    response = "<think></think><answer>10^10^10^10</answer>"
    parts = combine(rewards, reward_input(response=response)).parts
    assert parts["hard_format"] == 0.0
    assert parts["format"] == 1.0
    assert parts["answer_check/bounded"] == 1.0
    assert combine(rewards, reward_input()).parts["answer_check/bounded"] == 0.0


def test_the_soft_reward_pays_format_and_result_half_each():
    rewards = make_rewards([RewardSpec(name="soft_format_result")])
    assert combine(rewards, reward_input()).value == 1.0
    assert combine(rewards, reward_input(answer="4")).value == 0.5
    assert combine(rewards, reward_input(response="3")).value == 0.5
    assert combine(rewards, reward_input(response="4")).value == 0.0


def test_rewards_add_up_by_weight_and_the_first_to_report_a_shared_part_names_it():
    rewards = make_rewards([RewardSpec(name="hard_format", weight=2.0)])
    output = combine([*rewards, ("length", 0.5, Length(scale=0.1))], reward_input(response="3"))
    assert output.value == pytest.approx(0.05)
    assert output.parts["accuracy"] == output.parts["hard_format/accuracy"] == 1.0
    assert output.parts["format"] == 0.0
    assert output.parts["length/accuracy"] == 9.0
