"""The Python interface: what is loaded when, what an object becomes in a config, what is refused, rows, scores."""

import subprocess
import sys
import threading
from functools import partial

import pytest
from datasets import Dataset, DatasetDict

import vr1_ray
from tests.builders import picture, prompt
from vr1_ray.actors.rewards.handing import pack, unpack
from vr1_ray.cli import main
from vr1_ray.config import ConfigError, DataConfig, RewardSpec, RunConfig, recipe_runs, save_config
from vr1_ray.config.objects import named
from vr1_ray.data import DataError, load_demonstrations, load_prompts
from vr1_ray.loops.handed_over import hand_over, name_in, what_it_was
from vr1_ray.rewards import Reward, make_rewards
from vr1_ray.runs.model_card import model_card
from vr1_ray.tracking import RolloutStore
from vr1_ray.types import Rollout, RolloutGroup, Stage

RIGHT = "<think> 1 + 2 </think><answer> Final Answer:3 </answer>"


def is_short(reward_input):
    return reward_input.num_tokens <= 3


class NamesColour(Reward):
    def __init__(self, colour="red"):
        self.colour = colour

    def score(self, reward_input):
        return float(self.colour in reward_input.response)


def rows(number=3, **cells):
    return [
        {"images": [{"bytes": picture(i).data, "path": None}], "problem": "<image>How many?", "answer": "3"}
        | cells
        for i in range(number)
    ]  # fmt: skip


def rl_config(*overrides):
    return vr1_ray.load_config("configs/tiny_rl.yaml", list(overrides))


def handed(config, rewards=None, **data):
    keys = {
        "prompts": "data.train",
        "demonstrations": "data.demonstrations",
        "eval_prompts": "eval.data",
    }
    return name_in(config, hand_over(rewards, {keys[name]: found for name, found in data.items()}))


def test_the_package_its_names_and_a_score_load_neither_torch_nor_ray():
    code = f"""
import sys
import vr1_ray
assert set(vr1_ray.__all__) <= set(dir(vr1_ray))
assert vr1_ray.score({RIGHT!r}, 3)["reward"] == 1.0
config = vr1_ray.load_config("configs/quickstart_rl.yaml")
assert vr1_ray.make_curriculum(config.curriculum).begin_step()[0] == 1
vr1_ray.read_metrics, vr1_ray.read_rollouts, vr1_ray.run
print([name for name in ("torch", "ray", "transformers", "vllm", "deepspeed") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_every_name_is_there_and_documented_and_others_are_not():
    for name in vr1_ray.__all__:
        assert getattr(vr1_ray, name).__doc__
        assert f"    {name}" in vr1_ray.__doc__ or f", {name}(" in vr1_ray.__doc__
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        vr1_ray.train  # noqa: B018


def test_a_score_is_the_weighted_sum_with_every_part():
    found = vr1_ray.score(RIGHT, 3, rewards=["hard_format", (NamesColour("Final"), 0.5)])
    assert found["reward"] == 1.5
    assert (found["hard_format"], found["object:NamesColour"], found["accuracy"]) == (1.0, 1.0, 1.0)
    assert vr1_ray.score(RIGHT, 4)["reward"] == 0.0
    assert vr1_ray.score(RIGHT, r"\boxed{3}")["reward"] == 1.0  # references as data has them
    assert vr1_ray.score(RIGHT, 3, is_finished=False)["reward"] == 0.0


def test_a_score_shows_its_pictures_and_counts_the_tokens_of_a_model():
    def pixels(reward_input):
        return float(reward_input.images()[0].width)

    def tokens(reward_input):
        return reward_input.num_tokens

    cell = {"bytes": picture(0, (40, 30)).data, "path": None}
    assert vr1_ray.score("", 3, rewards=[pixels], images=[cell])["reward"] == 40.0
    model = "examples/vr1_tiny/model"
    assert vr1_ray.score(RIGHT, 3, rewards=[tokens])["reward"] == 0.0
    assert vr1_ray.score(RIGHT, 3, rewards=[tokens], model=model)["reward"] > 10


def test_objects_are_named_in_the_config_and_described():
    config = handed(
        rl_config(), ["hard_format", (is_short, 0.1)], prompts=Dataset.from_list(rows())
    )
    assert [(spec.name, spec.weight) for spec in config.rewards] == [
        ("hard_format", 1.0),
        ("object:is_short", 0.1),
    ]
    assert config.data.train == "object:prompts"
    assert config.objects["object:is_short"].startswith(f"{__name__}.is_short with source ")
    assert config.objects["object:prompts"].startswith("Dataset of 3 rows, fingerprint ")
    assert rl_config().objects == {}


def test_the_model_card_says_what_python_handed_over():
    card = model_card(handed(rl_config(), [is_short]), history=["rl"], base="base")
    assert "1 x object:is_short" in card
    assert f"| `object:is_short`, handed over in Python | {__name__}.is_short with source" in card


def test_objects_go_to_the_steps_of_a_recipe_that_read_them():
    recipe = vr1_ray.load_config("configs/quickstart.yaml")
    data = Dataset.from_list(rows())
    named_recipe = handed(recipe, [(is_short, 2.0)], demonstrations=data, eval_prompts=data)
    _, base, cold_start, rl = recipe_runs(named_recipe)
    assert [(spec.name, spec.weight) for spec in rl.rewards] == [("object:is_short", 2.0)]
    assert [spec.name for spec in base.rewards] == ["hard_format"]
    assert cold_start.data.demonstrations == ["object:demonstrations"]
    assert (base.eval.data, rl.eval.data) == ("object:eval_prompts", "object:eval_prompts")
    assert rl.data.train == "runs/quickstart/figure_math"
    assert set(rl.objects) == {"object:is_short", "object:eval_prompts"}
    assert set(cold_start.objects) == {"object:demonstrations"}
    assert "objects" not in recipe.steps["rl"]


def test_what_no_run_would_read_is_refused():
    sft = vr1_ray.load_config("configs/bridge_sft.yaml")
    assert sft.kind == "recipe"
    with pytest.raises(ConfigError, match=r"prompts: no run of kind rl is there to read it"):
        handed(sft, prompts=Dataset.from_list(rows()))
    with pytest.raises(ConfigError, match=r"demonstrations: no run of kind sft"):
        handed(rl_config(), demonstrations=Dataset.from_list(rows()))


def test_two_objects_of_one_name_get_two_names_and_the_same_twice_one():
    short, long = (lambda _: 1.0), (lambda _: 0.0)
    [found] = hand_over([short, long, partial(is_short), is_short, is_short], {})
    assert [spec.name for spec in found.value] == [
        "object:lambda",
        "object:lambda_2",
        "object:is_short",
        "object:is_short_2",
        "object:is_short_2",
    ]
    names = [name for name, _, _ in make_rewards(found.value, objects=found.objects)]
    assert len(set(names)) == 5


def test_another_function_of_the_same_name_is_another_object():
    def first(reward_input):
        return 0.0

    def second(reward_input):
        return 1.0

    second.__qualname__ = first.__qualname__
    assert what_it_was(first) != what_it_was(second)
    assert what_it_was(first) == what_it_was(first)
    assert what_it_was(partial(is_short, 1)) != what_it_was(partial(is_short, 2))
    exec(code := "def typed(reward_input): return 1.0", found := {})
    exec(code.replace("1.0", "2.0"), other := {})
    assert what_it_was(found["typed"]) != what_it_was(other["typed"])


def test_the_same_rows_are_the_same_data_set_and_others_are_not():
    assert what_it_was(Dataset.from_list(rows())) == what_it_was(Dataset.from_list(rows()))
    assert what_it_was(Dataset.from_list(rows())) != what_it_was(
        Dataset.from_list(rows(answer="4"))
    )


@pytest.mark.parametrize(
    ("rewards", "message"),
    [
        ("hard_format", r"rewards: 'hard_format' is no list"),
        ([("hard_format", "much")], r"rewards\[0\]: \('hard_format', 'much'\) is no \(reward, weight\)"),
        ([(RewardSpec(name="hard_format"), 2.0)], "a RewardSpec alone: it has its weight"),
        ([3], r"rewards\[0\].name='object:int' is of type int"),
        ([lambda: 1.0], r"rewards\[0\].options don't fit reward 'object:lambda'"),
        ([dict], r"rewards\[0\].name='object:dict' is no Reward"),
        ([], "no reward is named"),
        (["hard_format", "hardformat"], r"rewards\[1\].name='hardformat' is unknown"),
        ([("hard_format", float("nan"))], r"rewards\[0\].weight=nan: not finite"),
    ],
)  # fmt: skip
def test_a_reward_that_is_none_is_refused_before_anything_starts(rewards, message):
    with pytest.raises(ValueError, match=message):
        vr1_ray.run(rl_config(), rewards=rewards)


def test_an_object_that_cannot_go_to_another_process_is_refused():
    lock = threading.Lock()
    with pytest.raises(ConfigError, match="object:lambda can't be sent to a reward actor") as error:
        vr1_ray.run(rl_config(), rewards=[lambda _: lock.locked()])
    assert "make these inside the call" in str(error.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (rows(), r"prompts: a list is no datasets.Dataset; make one .*from_list"),
        (DatasetDict(test=Dataset.from_list(rows())), r"give one of its splits, such as dataset\['test'\]"),
        (Dataset.from_list(rows()).to_iterable_dataset(), "load it without streaming"),
        ("data/train.parquet", "a str is no datasets.Dataset"),
    ],
    ids=["list", "dict", "stream", "path"],
)  # fmt: skip
def test_data_that_is_no_dataset_is_refused_with_what_to_do(data, message):
    with pytest.raises(DataError, match=message):
        vr1_ray.run(rl_config(), prompts=data)


def test_a_run_outside_the_main_thread_is_refused():
    raised = []

    def call():
        try:
            vr1_ray.run(rl_config())
        except ConfigError as error:
            raised.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(60)
    assert "call it in the main thread" in raised[0]


def test_a_dataset_is_read_as_its_file_is(tmp_path):
    data = Dataset.from_list(rows(2, family="") + rows(1, answer="7", family="sum"))
    data.to_parquet(tmp_path / "rows.parquet")
    of_file = load_prompts(DataConfig(), str(tmp_path / "rows.parquet"), "train")
    assert load_prompts(DataConfig(), data, "train") == of_file
    assert of_file[2].metadata == {"family": "sum"}


def test_a_bad_row_of_a_dataset_is_refused_by_row_and_column(tmp_path):
    data = Dataset.from_list([*rows(1), *rows(1, images=[{"bytes": b"no picture", "path": None}])])
    with pytest.raises(DataError, match=r"data.train: the Dataset.*\n?.*row 1.*images"):
        load_prompts(DataConfig(), data, "train")
    listed = str(tmp_path / "bad_rows.jsonl")
    skipping = DataConfig(bad_rows="skip", max_bad_rows=0.5, bad_rows_file=listed)
    assert len(load_prompts(skipping, data, "train")) == 1


def test_demonstrations_are_read_from_an_object_beside_a_file():
    data = Dataset.from_list([{"query": "How many?", "response": RIGHT}])
    config = DataConfig(demonstrations=["object:demonstrations"])
    [found] = load_demonstrations(config, {"object:demonstrations": data})
    assert (found.prompt.question, found.response) == ("How many?", RIGHT)
    with pytest.raises(
        ConfigError, match=r"data.demonstrations: 'object:demonstrations' was an object"
    ):
        load_demonstrations(config)


def test_a_config_with_objects_is_refused_where_nothing_is_handed_over(tmp_path, capsys):
    config = handed(
        rl_config(f"runs_folder={tmp_path}"), [is_short], prompts=Dataset.from_list(rows())
    )
    save_config(config, tmp_path / "config.yaml")
    assert main(["rl", str(tmp_path / "config.yaml")]) == 2
    error = capsys.readouterr().err
    assert "objects.object:is_short: 'object:is_short' was an object of the Python program" in error
    assert "vr1_ray.run(...)" in error
    assert named("data/train", {}, "data.train") == "data/train"


def test_a_finished_run_is_kept_for_the_same_objects_and_refused_for_others(tmp_path):
    config = rl_config(f"runs_folder={tmp_path}")
    save_config(handed(config, [is_short]), tmp_path / "tiny_rl/config.yaml")
    (tmp_path / "tiny_rl/result.json").write_text('{"policy": "there"}')
    assert vr1_ray.run(config, rewards=[is_short]) == {"policy": "there"}

    def another(reward_input):
        return 1.0

    another.__name__ = "is_short"
    for rewards in ([another], ["hard_format"], None):
        with pytest.raises(
            ConfigError, match=r"objects: changed since .* hand vr1_ray.run the same"
        ):
            vr1_ray.run(config, rewards=rewards)


def test_a_reward_in_a_reward_actor_is_the_one_that_was_handed_over():
    bonus = 0.25
    [found] = hand_over([(lambda _: bonus, 2.0), NamesColour("blue"), NamesColour], {})
    assert unpack(pack(found.value, "other", found.objects)) == {}
    objects = unpack(pack(found.value, "default", found.objects))
    rewards = make_rewards(found.value, pool="default", objects=objects)
    assert [(name, weight) for name, weight, _ in rewards] == [
        ("object:lambda", 2.0),
        ("object:NamesColour", 1.0),
        ("object:NamesColour_2", 1.0),
    ]
    assert rewards[0][2].function(None) == 0.25
    assert (rewards[1][2].colour, rewards[2][2].colour) == ("blue", "red")


def saved_run(folder):
    save_config(
        RunConfig(kind="rl", name="run", runs_folder=str(folder)), folder / "run/config.yaml"
    )
    rollouts = tuple(
        Rollout(
            index=index,
            attempt=0,
            seed=index,
            status="finished",
            response_ids=(1,) * (index + 2),
            text=f"response {index}",
            rollout_logprobs=(-1.0,) * (index + 2),
            reward=float(index),
            reward_parts={"is_short": 1.0 - index},
            advantage=index - 0.5,
        )
        for index in range(2)
    )
    for step in (1, 2):
        group = RolloutGroup(
            prompt=prompt(step),
            step=step,
            stage=Stage(number=step, max_response_tokens=8, group_size=2, steps=1),
            policy_version=step - 1,
            prompt_ids=(1, 2),
            rollouts=rollouts,
        )
        RolloutStore(folder / "run", save="all").save([group])
    (folder / "run/metrics.jsonl").write_text('{"step": 1, "reward/mean": 0.5}\n{"step": 2, "rew')
    return folder / "run"


def test_metrics_and_rollouts_come_as_rows(tmp_path):
    folder = saved_run(tmp_path)
    assert vr1_ray.read_metrics(folder) == [{"step": 1, "reward/mean": 0.5}]
    config = RunConfig(kind="rl", name="run", runs_folder=str(tmp_path))
    found = vr1_ray.read_rollouts(config)
    assert [(row["step"], row["index"], row["reward"], row["reward/is_short"]) for row in found] == [
        (1, 0, 0.0, 1.0), (1, 1, 1.0, 0.0), (2, 0, 0.0, 1.0), (2, 1, 1.0, 0.0),
    ]  # fmt: skip
    row = vr1_ray.read_rollouts(str(folder), step=2)[1]
    assert (row["response"], row["response_tokens"], row["stage"], row["answer"]) == (
        "response 1",
        3,
        2,
        "3",
    )
    assert row["images"][0].decode().size == (84, 84)


def test_rows_that_are_not_there_are_said_so(tmp_path):
    folder = saved_run(tmp_path)
    with pytest.raises(ConfigError, match=f"has no metrics.jsonl; these have one: {folder}"):
        vr1_ray.read_metrics(tmp_path)
    with pytest.raises(ValueError, match="saved are steps 1 to 2"):
        vr1_ray.read_rollouts(folder, step=3)
    (folder / "rollouts").rename(folder / "elsewhere")
    with pytest.raises(ConfigError, match=r"was rollout.save none"):
        vr1_ray.read_rollouts(folder)
    with pytest.raises(ConfigError, match="is neither a run folder nor a run in runs"):
        vr1_ray.read_metrics(str(tmp_path / "nowhere"))
