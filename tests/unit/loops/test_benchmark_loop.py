"""How a benchmark is asked, and which figures it will have; what engines answer is written down by hand."""

from pathlib import Path

import pytest

from tests.builders import TINY_MODEL
from tests.unit.evaluation.questions import wrapped
from vr1_ray.config import (
    ConfigError,
    CurriculumConfig,
    EvalConfig,
    ModelConfig,
    RunConfig,
    StageConfig,
)
from vr1_ray.data import DataError
from vr1_ray.evaluation import BENCHMARKS, load_selections, paper
from vr1_ray.evaluation.scoring import judge_responses, result_of
from vr1_ray.loops.benchmark_asking import answered
from vr1_ray.loops.benchmark_loop import BenchmarkSet, figures_of
from vr1_ray.loops.eval_loop import read_held_out
from vr1_ray.models import load_adapter
from vr1_ray.preflight import RunInputs
from vr1_ray.types import Prompt, Rollout, RolloutGroup, Stage

FIXTURES = Path(__file__).parents[3] / "examples" / "evaluation" / "fixtures"
OUTSIDE = Stage(number=0, max_response_tokens=8, group_size=1, steps=0)
BROKEN = "<think> 1 + 2 = 3. </think><answer> 3"


class Sampler:
    """Gives each prompt the response that is written down for the attempt, last prompt first."""

    def __init__(self, **texts):
        self.texts = texts
        self.prompts = [Prompt(prompt_id=name, question="How many?") for name in texts]
        self.asked = []

    def __call__(self, prompts, attempt):
        self.asked.append([prompt.prompt_id for prompt in prompts])
        for prompt in reversed(prompts):
            rollout = Rollout(
                index=0,
                attempt=0,
                seed=attempt,
                status="finished",
                response_ids=(1,),
                text=self.texts[prompt.prompt_id][attempt],
            )
            yield RolloutGroup(
                prompt=prompt,
                step=-1 - attempt,
                stage=OUTSIDE,
                policy_version=0,
                prompt_ids=(1,),
                rollouts=(rollout,),
            )

    def settled(self, *, max_asked):
        """What each prompt ended with: (prompt id, response, times asked), in the order of settling."""
        return [
            (group.prompt.prompt_id, group.rollouts[0].text, times_asked)
            for group, times_asked in answered(self.prompts, self, max_asked=max_asked)
        ]


def test_a_response_without_the_format_is_drawn_again_until_one_has_it():
    sample = Sampler(a=[BROKEN, BROKEN, wrapped("3")], b=[wrapped("5")], c=[BROKEN, wrapped("7")])
    assert sample.settled(max_asked=paper.MAX_ASKED) == [
        ("b", wrapped("5"), 1),
        ("c", wrapped("7"), 2),
        ("a", wrapped("3"), 3),
    ]
    assert sample.asked[:3] == [["a", "b", "c"], ["c", "a"], ["a"]]
    assert not any(sample.asked[3:])


def test_after_five_draws_the_last_counts_whatever_it_is():
    sample = Sampler(a=[f"{BROKEN} {number}" for number in range(9)])
    assert sample.settled(max_asked=paper.MAX_ASKED) == [("a", f"{BROKEN} 4", 5)]
    assert sample.asked == [["a"]] * 5


def test_under_the_honest_protocol_nothing_is_drawn_again():
    sample = Sampler(a=[BROKEN], b=[wrapped("5")])
    assert sample.settled(max_asked=1) == [("b", wrapped("5"), 1), ("a", BROKEN, 1)]
    assert sample.asked == [["a", "b"]]


def rl_config(*benchmarks, **settings):
    return RunConfig(
        kind="rl",
        name="demo",
        model=ModelConfig(path=str(TINY_MODEL), max_model_len=512),
        curriculum=CurriculumConfig(
            stages=[StageConfig(max_response_tokens=8, group_size=2, steps=2)]
        ),
        benchmarks=list(benchmarks),
        eval=EvalConfig(every_steps=1, benchmarks_folder=str(FIXTURES), **settings),
    )


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_names_of_all_figures_are_known_before_anything_is_asked(name):
    config = rl_config(name, num_samples=2, temperature=1.0)
    [one] = load_selections([name], config.eval)
    names = BenchmarkSet(
        config=config, selections=[one], max_response_tokens=8, too_long=frozenset()
    ).figure_names()
    judged = judge_responses(one.benchmark, one.questions, {}, config.eval, None)
    assert names == list(figures_of(result_of(name, one.benchmark, judged, [])))
    assert {name, f"{name}/pass@2"} <= set(names)


@pytest.fixture(scope="module")
def inputs():
    return RunInputs(adapter=load_adapter(rl_config().model))


@pytest.mark.parametrize(
    ("benchmarks", "best_by"),
    [
        (["mathvista"], "accuracy"),
        (["mathvista", "mm_math"], "mathvista/GPS"),
        (["mathverse/vision_only"], "mathverse/vision_only"),
        (["we_math/S1"], "we_math/S1/accuracy"),
    ],
)
def test_any_figure_of_the_run_can_tell_the_best_checkpoint(inputs, benchmarks, best_by):
    held_out = read_held_out(rl_config(*benchmarks, best_by=best_by), inputs)
    assert held_out.max_response_tokens == 8  # the longest stage's


@pytest.mark.parametrize(
    ("benchmarks", "best_by", "cure"),
    [
        (["mathvista"], "mathvista/GSP", "mathvista/GPS"),
        (["mathvista"], "mathverse", "accuracy, mathvista"),
        (["we_math/S1"], "accuracy", "we_math/S1/accuracy"),  # a part has no headline score
    ],
)
def test_a_figure_that_no_evaluation_has_is_refused_before_the_run(
    inputs, benchmarks, best_by, cure
):
    with pytest.raises(ConfigError, match=f"eval.best_by: '{best_by}' is no figure.*{cure}"):
        read_held_out(rl_config(*benchmarks, best_by=best_by), inputs)


def test_a_benchmark_question_with_too_many_images_is_refused_before_the_run(inputs):
    config = rl_config("mathvista")
    config.model.max_images = 0
    with pytest.raises(
        DataError, match=r"benchmarks: mathvista.*\n  question .*: 1 images, over model"
    ):
        read_held_out(config, inputs)


def test_a_benchmark_of_which_no_question_fits_is_refused_before_the_run(inputs):
    config = rl_config("mathvista")
    config.model.max_model_len = 20
    with pytest.raises(
        ConfigError, match=r"benchmarks: none of the \d+ questions of mathvista fits"
    ):
        read_held_out(config, inputs)


def test_a_run_that_never_evaluates_may_name_any_figure(inputs):
    config = rl_config("mathvista", best_by="mathverse")
    config.eval.every_steps = 0
    assert read_held_out(config, inputs).benchmarks is not None
