"""The reward contract: what a reward sees, what it may return, and what is said when it breaks."""

import inspect
import pickle
import subprocess
import sys

import pytest

from tests.unit.rewards.samples import png, reward_input
from vr1_ray.config import RewardSpec
from vr1_ray.rewards import (
    FunctionReward,
    Reward,
    RewardError,
    RewardUnavailableError,
    base,
    combine,
    combine_batch,
    make_rewards,
)
from vr1_ray.types import EncodedImage, RewardOutput


class Single(Reward):
    def score(self, reward_input):
        if reward_input.response == "down":
            raise RewardUnavailableError("endpoint down")
        return RewardOutput(value=float(len(reward_input.response)), parts={"seen": 1})


class Batch(Reward):
    def score_batch(self, reward_inputs):
        return [RewardOutput(value=len(reward_inputs)) for _ in reward_inputs]


class Neither(Reward):
    pass


class AllDown(Reward):
    def score_batch(self, reward_inputs):
        raise RewardUnavailableError("all down")


class Broken(Reward):
    def score(self, reward_input):
        return RewardOutput(value=1 / len(reward_input.response))


class PickyInit(Reward):
    def __init__(self, word):
        self.word = word + 1  # a TypeError that is no matter of options

    def score(self, reward_input):
        return RewardOutput(value=0)


class NotAReward:
    def score(self, reward_input):
        return 1.0


NOT_CALLABLE = 3


def length_in(reward_input, unit=1.0):
    return len(reward_input.response) / unit


def given(value):
    return [("given", 1.0, FunctionReward(lambda _: value))]


def spec(name, **options):
    return RewardSpec(name=f"{__name__}:{name}", options=options)


def test_a_reward_sees_everything_known_of_a_rollout():
    seen = reward_input("text", "7", finished=False, ids=(4, 5), images=[png((2, 1))])
    assert (seen.response, seen.num_tokens, seen.finish_reason) == ("text", 2, "truncated")
    assert (seen.question, seen.answer) == ("<image>How many?", "7")
    assert (seen.metadata, seen.stage.number, seen.step) == ({"family": "count"}, 2, 12)
    [image] = seen.images()
    assert (image.size, image.mode, image.getpixel((0, 0))) == ((2, 1), "RGB", (255, 0, 0))


def test_an_image_over_the_limit_or_broken_is_refused_by_hash():
    image = png((4, 3))
    assert image.decode(max_pixels=12).size == (4, 3)
    with pytest.raises(
        ValueError, match=f"{image.content_hash} has 4 x 3 pixels, over max_pixels=11"
    ):
        image.decode(max_pixels=11)
    with pytest.raises(ValueError, match="can't be decoded"):
        EncodedImage.from_bytes(image.data[:40]).decode()


def test_either_method_is_enough_and_gives_the_other():
    assert [o.value for o in Single().score_batch([reward_input("ab"), reward_input("c")])] == [
        2,
        1,
    ]
    assert Batch().score(reward_input()).value == 1


def test_a_class_with_neither_method_is_refused_when_loaded():
    with pytest.raises(
        ValueError, match=r"rewards\[0\]\.name='.*:Neither' has neither `score` nor"
    ):
        make_rewards([spec("Neither")])


def test_a_plain_function_is_a_reward_and_takes_options():
    rewards = make_rewards([spec("length_in", unit=2.0)])
    assert combine(rewards, reward_input("abc")).value == 1.5


def test_the_example_of_the_documentation_works(tmp_path, monkeypatch):
    lines = base.__doc__.splitlines()
    code = [line[4:] for line in lines if line.startswith("    ") and "{name:" not in line]
    code.remove("rewards:")
    imports = (
        "from vr1_ray.rewards import Reward\nfrom vr1_ray.types import RewardInput, RewardOutput\n"
    )
    (tmp_path / "documented.py").write_text(imports + "\n".join(code))
    monkeypatch.syspath_prepend(str(tmp_path))
    rewards = make_rewards(
        [
            RewardSpec(name="documented:is_short", options={"max_tokens": 1}),
            RewardSpec(name="documented:MentionsColour", options={"other": "green"}),
        ]
    )
    red, blue = png(), png(colour=(0, 0, 255))
    assert combine(rewards, reward_input("red", images=[red])).value == 2.0
    assert combine(rewards, reward_input("green", ids=(1, 2), images=[blue])).value == 1.0
    assert combine(rewards, reward_input("red", ids=(1, 2), images=[blue])).value == 0.0


def test_a_batch_has_one_sum_for_each_rollout_in_order():
    rewards = [("single", 1.0, Single()), ("batch", -0.5, Batch())]
    first, second = combine_batch(rewards, [reward_input("abc"), reward_input("d")])
    assert first == RewardOutput(value=2.0, parts={"single": 3.0, "single/seen": 1.0, "batch": 2.0})
    assert second.value == 0.0


def test_two_uses_of_a_reward_keep_both_their_parts():
    rewards = make_rewards(
        [spec("length_in"), spec("length_in", unit=2.0), spec("length_in", unit=4.0)]
    )
    name = f"{__name__}:length_in"
    output = combine(rewards, reward_input("abcd"))
    assert output.parts == {name: 4.0, f"{name}#2": 2.0, f"{name}#3": 1.0}
    assert output.value == 7.0


def test_two_rewards_under_one_name_are_refused():
    with pytest.raises(ValueError, match="two share a name"):
        combine([("x", 1.0, Single()), ("x", 1.0, Batch())], reward_input())


def test_an_unavailable_reward_makes_only_its_rollout_invalid():
    rewards = [("batch", 1.0, Batch()), ("single", 1.0, Single())]
    good, bad = combine_batch(rewards, [reward_input("abc"), reward_input("down")])
    assert good.value == 5.0
    assert isinstance(bad, RewardUnavailableError)
    assert str(bad) == "reward 'single': endpoint down"


def test_a_reward_unavailable_as_a_whole_makes_every_rollout_invalid():
    outcomes = combine_batch([("all", 1.0, AllDown())], [reward_input(), reward_input()])
    assert [str(outcome) for outcome in outcomes] == ["reward 'all': all down"] * 2


def test_asked_for_one_rollout_unavailable_is_raised():
    with pytest.raises(RewardUnavailableError, match="reward 'single': endpoint down"):
        combine([("single", 1.0, Single())], reward_input("down"))
    with pytest.raises(RewardUnavailableError):
        AllDown().score(reward_input())


def test_the_errors_survive_the_way_between_processes():
    for error in (RewardUnavailableError("down"), RewardError("broken")):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy)) == (type(error), str(error))


def test_a_broken_reward_says_traceback_prompt_rollout_file_and_line():
    inputs = [reward_input("fine", prompt_id="p7"), reward_input("", prompt_id="p7", index=5)]
    with pytest.raises(RewardError) as caught:
        combine_batch(make_rewards([spec("Broken")]), inputs)
    message = str(caught.value)
    line = inspect.getsourcelines(Broken.score)[1] + 1
    assert f":Broken' failed at {__file__}, line {line} on prompt p7 (2 rollouts)" in message
    assert "ZeroDivisionError: division by zero" in message
    assert "Traceback (most recent call last)" in message
    assert "return RewardOutput(value=1 / len(reward_input.response))" in message
    assert "while scoring prompt p7, rollout 5" in message


def test_an_error_deep_in_a_library_is_placed_in_the_reward_file():
    def shallow(_):
        return float(inspect.signature(3))  # raises inside inspect.py

    with pytest.raises(RewardError) as caught:
        combine([("shallow", 1.0, FunctionReward(shallow))], reward_input())
    line = inspect.getsourcelines(shallow)[1] + 1
    assert f"failed at {__file__}, line {line} " in str(caught.value)


def test_a_reward_without_a_source_file_still_has_a_place():
    with pytest.raises(RewardError, match=r"failed at .+base\.py, line \d+ on prompt 9f0c"):
        combine([("len", 1.0, FunctionReward(len))], reward_input())


@pytest.mark.parametrize("value", [None, "1", float("nan"), float("inf"), [1.0], 10**400])
def test_what_is_no_finite_number_is_no_reward(value):
    with pytest.raises(
        RewardError, match=r"reward 'given' failed at .*test_contract\.py, line \d+"
    ):
        combine(given(value), reward_input())
    with pytest.raises(RewardError):
        combine(given(RewardOutput(value=0.0, parts={"part": value})), reward_input())


def test_numbers_of_any_kind_become_plain_floats():
    import numpy

    for value in (True, 1, 1.0, numpy.float32(1), RewardOutput(value=numpy.int64(1))):
        output = combine(given(value), reward_input())
        assert (output.value, type(output.value)) == (1.0, float)


def test_one_outcome_too_few_is_a_broken_reward():
    class Short(Reward):
        def score_batch(self, reward_inputs):
            return []

    with pytest.raises(RewardError, match="0 outcomes for 1 rollout"):
        combine([("short", 1.0, Short())], reward_input())


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            RewardSpec(name="hard"),
            r"rewards\[1\]\.name='hard' is unknown; known: hard_format, length",
        ),
        (RewardSpec(name=":x"), "is unknown"),
        (RewardSpec(name="nowhere.at_all:Name"), "No module named 'nowhere'.*known: hard_format"),
        (
            spec("Missing"),
            r"can't be loaded \(AttributeError: module .* has no attribute 'Missing'\)",
        ),
        (spec("NotAReward"), r"is no Reward; derive it from vr1_ray\.rewards\.Reward"),
        (spec("NOT_CALLABLE"), "is of type int; name a function or a Reward class"),
        (
            RewardSpec(name="hard_format", options={"x": 1}),
            r"rewards\[1\]\.options.*'x'.*takes: none",
        ),
        (spec("length_in", units=1), r"rewards\[1\]\.options.*'units'.*takes: unit"),
        (spec("PickyInit"), "missing a required argument: 'word'"),
        (RewardSpec(name="hard_format", weight=float("nan")), r"rewards\[1\]\.weight=nan"),
    ],
)
def test_a_wrong_entry_is_refused_by_field(bad, message):
    with pytest.raises(ValueError, match=message):
        make_rewards([RewardSpec(name="hard_format"), bad])


def test_no_reward_at_all_is_refused():
    with pytest.raises(ValueError, match=r"rewards=\[\]"):
        make_rewards([])


def test_an_error_inside_a_constructor_is_not_taken_for_a_wrong_option():
    with pytest.raises(TypeError) as caught:
        make_rewards([spec("PickyInit", word="x")])
    assert caught.value.__notes__ == [f"while making rewards[0], '{__name__}:PickyInit'"]


def test_a_reward_in_the_current_folder_is_found_and_shadows_nothing(tmp_path):
    (tmp_path / "my_rewards.py").write_text("import PIL\ndef one(reward_input): return 1.0\n")
    (tmp_path / "PIL.py").write_text("raise RuntimeError('shadowed')\n")
    code = (
        "from vr1_ray.config import RewardSpec; from vr1_ray.rewards import make_rewards;"
        "print(make_rewards([RewardSpec(name='my_rewards:one')])[0][0])"
    )
    # -P: as for a console script, the current folder is not on the path by itself.
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "my_rewards:one\n", done.stderr


def test_rewards_load_without_torch_ray_or_a_client():
    code = (
        "import sys; from vr1_ray.config import RewardSpec; from vr1_ray.rewards import make_rewards;"
        "make_rewards([RewardSpec(name='hard_format')]);"
        "print({'torch', 'ray', 'openai', 'aiohttp', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
