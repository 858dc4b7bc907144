"""Scores responses with the hard format reward and the reward of `named_counts.py`. No engine, no GPU.

    python examples/custom_reward/run.py                      # hand-made responses to three figures
    python examples/custom_reward/run.py runs/quickstart_rl 6  # the rollouts that step 6 of a run saved

What is scored by hand: a thought that counts right, one that miscounts and yet answers right, one that names
no count, and one that the response budget cut.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from vr1_ray.config import DataConfig, RewardSpec
from vr1_ray.data.images import ImageReader
from vr1_ray.data.prompts import to_prompt
from vr1_ray.figure_math.dataset import random_items, to_row
from vr1_ray.figure_math.drawing import GridFigure
from vr1_ray.figure_math.questions import Question, quantities
from vr1_ray.figure_math.thoughts import chain
from vr1_ray.rewards import RewardUnavailableError, combine_batch, make_rewards
from vr1_ray.tracking import load_groups
from vr1_ray.types import Prompt, RewardInput, Rollout, RolloutGroup, Stage

REWARDS = [
    RewardSpec(name="hard_format", weight=1.0),
    RewardSpec(name="named_counts:NamedCountsReward", weight=0.2),
]
STAGE = Stage(number=1, max_response_tokens=96, group_size=4, steps=1)


def main(arguments: list[str]) -> None:
    """Prints one line a response."""
    groups = load_groups(Path(arguments[0]), int(arguments[1])) if arguments else hand_made_groups()
    rewards = make_rewards(REWARDS)
    for group in groups:
        print(f"\n{group.prompt.question}  (reference answer: {group.prompt.answer})")
        print("  sum   hard_format  named_counts  response")
        outcomes = combine_batch(rewards, list(reward_inputs(group)))
        for rollout, outcome in zip(group.rollouts, outcomes, strict=True):
            if isinstance(outcome, RewardUnavailableError):
                print(f"  invalid: {outcome}")
                continue
            hard, counts = (outcome.parts[spec.name] for spec in REWARDS)
            print(
                f"  {outcome.value:<5.2f} {hard:<12.2f} {counts:<13.2f} ...{rollout.text[-75:]!r}"
            )


def reward_inputs(group: RolloutGroup) -> Iterator[RewardInput]:
    """What the rewards of a run are given for a group."""
    for rollout in group.rollouts:
        yield RewardInput(
            prompt=group.prompt,
            response=rollout.text,
            finished=rollout.is_finished,
            rollout=rollout,
            stage=group.stage,
            step=group.step,
        )


def hand_made_groups(number: int = 3) -> list[RolloutGroup]:
    """Groups of four responses to questions that ask for counts in a grid."""
    groups = []
    for figure, question, _ in random_items("test", seed=0, number=200):
        if isinstance(figure, GridFigure) and not question.choices and len(groups) < number:
            row = to_row(figure, question)
            prompt = to_prompt(row, DataConfig(), ImageReader(None, 64_000_000))
            groups.append(hand_made_group(prompt, question, figure))
    return groups


def hand_made_group(prompt: Prompt, question: Question, figure: GridFigure) -> RolloutGroup:
    """A group with the four responses of this module's docstring."""
    counts = quantities(question, figure)
    miscounted = chain(question, figure, tuple(value + 1 for value in counts))
    answer = f"<answer> Final Answer:{prompt.answer} </answer>"
    texts = [
        f"<think> {chain(question, figure)} </think>{answer}",
        f"<think> {miscounted} </think>{answer}",
        f"<think> I see it at a glance. </think>{answer}",
        f"<think> {chain(question, figure)} Wait, let me check",
    ]
    return RolloutGroup(
        prompt=prompt,
        step=1,
        stage=STAGE,
        policy_version=0,
        prompt_ids=(),
        rollouts=tuple(
            Rollout(
                index=index,
                attempt=0,
                seed=0,
                status="finished" if text.endswith("</answer>") else "truncated",
                response_ids=(),
                text=text,
            )
            for index, text in enumerate(texts)
        ),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
