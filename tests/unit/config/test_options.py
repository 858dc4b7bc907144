"""`options` are held to what takes them: every algorithm, curriculum, reward and engine refuses one it doesn't know."""

from dataclasses import replace

import pytest

from vr1_ray.algorithms import ALGORITHMS, make_algorithm
from vr1_ray.algorithms.grpo import Grpo
from vr1_ray.config import (
    AlgorithmConfig,
    CurriculumConfig,
    RewardSpec,
    RolloutConfig,
    StageConfig,
)
from vr1_ray.curriculum import CURRICULA, Ptst, make_curriculum
from vr1_ray.rewards import REWARDS, make_rewards
from vr1_ray.rollout import ROLLOUT_ENGINES, check_engine
from vr1_ray.rollout.hf_engine import HFEngine
from vr1_ray.rollout.vllm_options import vllm_option_names

STAGES = [StageConfig(max_response_tokens=8, group_size=2, steps=1)]


def algorithm(name, **options):
    return make_algorithm(AlgorithmConfig(name=name, options=options))


def curriculum(name, **options):
    return make_curriculum(CurriculumConfig(name=name, stages=STAGES, options=options))


def reward(name, **options):
    return make_rewards([RewardSpec(name=name, options=options)])


def engine(name, **options):
    return check_engine(RolloutConfig(engine=name, options=options))


TAKERS = [
    *((algorithm, "algorithm.options", name) for name in ALGORITHMS if name != "sft"),
    *((curriculum, "curriculum.options", name) for name in CURRICULA),
    *((reward, "rewards[0].options", name) for name in REWARDS),
    *((engine, "rollout.options", name) for name in ROLLOUT_ENGINES),
]


@pytest.mark.parametrize(
    ("make", "field", "name"), TAKERS, ids=lambda one: getattr(one, "__name__", one)
)
def test_every_taker_refuses_an_option_it_does_not_know(make, field, name):
    with pytest.raises(ValueError, match="zzz_unknown") as raised:
        make(name, zzz_unknown=1)
    assert str(raised.value).startswith(f"{field} don't fit")
    assert "options it takes: " in str(raised.value)


def test_a_setting_written_among_the_options_is_named_where_it_belongs():
    with pytest.raises(ValueError, match=r"did you mean algorithm\.clip_high\?"):
        algorithm("grpo", clip_high=0.28)
    with pytest.raises(ValueError, match=r"did you mean curriculum\.max_restarts\?"):
        curriculum("ptst", max_restarts=1)


def test_a_slip_of_the_pen_is_told_which_option_was_meant():
    with pytest.raises(ValueError, match=r"did you mean url\?"):
        reward("remote", ulr="http://x")
    with pytest.raises(ValueError, match=r"did you mean max_num_batched_tokens\?"):
        engine("vllm", max_num_batched_token=4096)


class Tuned(Grpo):
    """An algorithm with an option."""

    def __init__(self, config, *, tau=0.1):
        super().__init__(config)
        self.tau = tau


class Quick(Ptst):
    """A curriculum with an option."""

    def __init__(self, config, *, share=0.95):
        super().__init__(config)
        self.share = share


class Picky(HFEngine):
    """An engine with an option."""

    @classmethod
    def option_names(cls):
        return ("depth",)


def test_what_is_kept_outside_gets_its_options_as_keywords():
    assert algorithm(f"{__name__}:Tuned", tau=0.5).tau == 0.5
    assert curriculum(f"{__name__}:Quick", share=0.5).share == 0.5
    engine(f"{__name__}:Picky", depth=2)
    with pytest.raises(ValueError, match=r"options it takes: tau; did you mean tau\?"):
        algorithm(f"{__name__}:Tuned", taus=0.5)


def test_the_cold_start_takes_no_options_and_no_name_whatever_is_handed_down():
    handed_down = AlgorithmConfig(name="grpo", options={"tau": 1}, old_logprobs="rollout")
    found = make_algorithm(handed_down, kind="sft")
    assert type(found) is ALGORITHMS["sft"]
    assert found.old_logprobs == "trainer"


def test_rl_refuses_the_cold_starts_algorithm_under_any_name():
    for name in ("sft", "vr1_ray.algorithms.sft:Sft"):
        with pytest.raises(ValueError, match="learns from demonstrations"):
            algorithm(name)


def test_the_names_that_vllm_takes_are_read_off_its_source():
    assert {"model", "max_num_seqs", "enforce_eager", "seed"} <= set(vllm_option_names())


def test_the_options_of_the_framework_itself_pass():
    check_engine(replace(RolloutConfig(), options={"max_num_batched_tokens": 4096}))
