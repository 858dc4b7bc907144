"""The Python interface: `vr1_ray.run` and its kin, listed in `vr1_ray/__init__.py`, shown in `examples/python/`.

It does nothing by a way of its own: objects get names in the config, and go beside it down to the loops that `vr1`
runs. What is heavy is imported where it is used.
"""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from vr1_ray.commands.status import find_run
from vr1_ray.config import ConfigError, DataConfig, ModelConfig, RunConfig, check_config
from vr1_ray.data.questions import one_question
from vr1_ray.data.references import reference_answer
from vr1_ray.loops.handed_over import AnyReward, hand_over, name_in
from vr1_ray.rewards import combine, make_rewards
from vr1_ray.runs.stopping import StopSignal
from vr1_ray.tracking import load_groups, saved_steps
from vr1_ray.tracking.jsonl import METRICS, read_rows
from vr1_ray.types import RewardInput, Rollout, RolloutGroup, Stage


def run(
    config: RunConfig,
    *,
    rewards: Sequence[AnyReward] | None = None,
    prompts: Any = None,
    demonstrations: Any = None,
    eval_prompts: Any = None,
) -> dict[str, Any]:
    """Run a config of any kind, as `vr1 run` does, and return its result: of a recipe the summary.

    `rewards` replace the config's. The others are each a `datasets.Dataset` in the place of a path: `prompts` of
    `data.train`, `demonstrations` of `data.demonstrations`, `eval_prompts` of `eval.data`. In a recipe they go to
    every step that reads them. The run folder says what they were, and only the same ones resume the run.

    Raises ValueError for a mistake, before anything is started; RuntimeError if the run fails. In the main thread
    alone, for SIGTERM is taken, to save and end. A Ray that it starts is shut down at the end.

    Example:
        run(load_config("rl.yaml"), rewards=["hard_format", (is_short, 0.1)], prompts=rows)["policy"]
    """
    from vr1_ray.actors.cluster import left_as_found
    from vr1_ray.loops.recipe_loop import run_alone, run_recipe

    handed = hand_over(
        rewards,
        {"data.train": prompts, "data.demonstrations": demonstrations, "eval.data": eval_prompts},
    )
    config = name_in(config, handed)
    objects = {name: thing for one in handed for name, thing in one.objects.items()}
    with _listening() as stop, left_as_found():
        if config.kind == "recipe":
            return run_recipe(config, stop, objects)
        check_config(config)
        return run_alone(config, stop, objects)


def read_metrics(run: RunConfig | str | Path) -> list[dict[str, Any]]:
    """The rows of a run's `metrics.jsonl`, one a step, also while it runs. METRICS.md says what they mean.

    `run` is a config, a run folder, or a name in `runs`, such as "quickstart/rl". Raises ValueError if there are none.

    Example:
        pandas.DataFrame(read_metrics("quickstart/rl")).plot("step", "accuracy")
    """
    folder = _folder_of(run)
    path = folder / METRICS
    if not path.is_file():
        having = ", ".join(str(found.parent) for found in sorted(folder.glob(f"*/{METRICS}")))
        raise ConfigError(f"run: {folder} has no {METRICS}; these have one: {having or 'none'}")
    return read_rows(path)


def read_rollouts(run: RunConfig | str | Path, step: int | None = None) -> list[dict[str, Any]]:
    """The saved rollouts of a run (`rollout.save`), or of one step of it: a row a response, in order.

    `images` are `EncodedImage`s: `row["images"][0].decode()` is a PIL image. Raises ValueError if there are none.

    Example:
        [row["response"] for row in read_rollouts("quickstart/rl", step=44) if row["reward"] == 0]
    """
    folder = _folder_of(run)
    steps = saved_steps(folder) if step is None else [step]
    if not steps:
        raise ConfigError(f"run: {folder} has no saved rollouts; was rollout.save none?")
    groups = (group for number in steps for group in load_groups(folder, number))
    return [row for group in groups for row in _rollout_rows(group)]


def score(
    response: str,
    answer: Any,
    *,
    rewards: Sequence[AnyReward] = ("hard_format",),
    question: str = "",
    images: Sequence[Any] = (),
    model: str = "",
    is_finished: bool = True,
    max_response_tokens: int = 4096,
) -> dict[str, float]:
    """What one response earns, as a run would score it: `reward`, the weighted sum, and every part by its name.

    `answer` is the reference, in any form that data has. Rewards of length and repetition count tokens, so they need
    the `model` whose tokens they are. `images` are paths, bytes or cells of a data set.
    Raises ValueError for what can't be scored, RewardError if a reward raises.

    Example:
        score("<think> Two. </think><answer> 2 </answer>", 2)["reward"]   # 1.0
    """
    [handed] = hand_over(rewards, {})
    names = ("images", "question")
    prompt = one_question(
        [str(i) if isinstance(i, Path) else i for i in images], question, DataConfig(), names=names
    )
    prompt = replace(prompt, answer=reference_answer(answer, "answer"))
    rollout = Rollout(
        index=0,
        attempt=0,
        seed=0,
        status="finished" if is_finished else "truncated",
        response_ids=_token_ids(model, response),
        text=response,
    )
    stage = Stage(number=0, max_response_tokens=max_response_tokens, group_size=1, steps=0)
    reward_input = RewardInput(
        prompt=prompt, response=response, finished=is_finished, rollout=rollout, stage=stage, step=0
    )
    found = combine(make_rewards(handed.value, objects=handed.objects), reward_input)
    return {"reward": found.value, **found.parts}


def _token_ids(model: str, response: str) -> tuple[int, ...]:
    if not model:
        return ()
    from vr1_ray.models import load_adapter

    return tuple(load_adapter(ModelConfig(path=model)).encode_response(response))


def _rollout_rows(group: RolloutGroup) -> Iterator[dict[str, Any]]:
    for rollout in group.rollouts:
        yield {
            "step": group.step,
            "stage": group.stage.number,
            "max_response_tokens": group.stage.max_response_tokens,
            "policy_version": group.policy_version,
            "prompt_id": group.prompt.prompt_id,
            "question": group.prompt.question,
            "images": group.prompt.images,
            "answer": group.prompt.answer,
            "index": rollout.index,
            "response": rollout.text,
            "status": rollout.status,
            "response_tokens": rollout.num_tokens,
            "reward": rollout.reward,
            **{f"reward/{name}": value for name, value in rollout.reward_parts.items()},
            "advantage": rollout.advantage,
        }


def _folder_of(run: RunConfig | str | Path) -> Path:
    if isinstance(run, RunConfig):
        return run.folder
    return find_run(str(run), Path("runs"))


@contextmanager
def _listening() -> Iterator[StopSignal]:
    """SIGTERM is the run's inside, and afterwards whose it was."""
    if threading.current_thread() is not threading.main_thread():
        raise ConfigError(
            "vr1_ray.run: called in a thread of its own; call it in the main thread, where it can take SIGTERM"
        )
    before = signal.getsignal(signal.SIGTERM)
    stop = StopSignal()
    stop.listen()
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
