"""What else Python can ask for, a part a function: scores, PTST by hand, what a run saved, a policy.

python examples/python/ten_lines.py    # leaves runs/ten_lines
python examples/python/by_hand.py      # in the same folder
"""

from statistics import fmean

import vr1_ray

RIGHT = "<think> Two and one make three. </think><answer> Final Answer:3 </answer>"


def names_a_count(reward_input):
    """A reward is any function of what is known of a response."""
    return float("three" in reward_input.response)


def scores() -> None:
    """One response, scored as a run would: no engine, no Ray, not even torch."""
    print("right:", vr1_ray.score(RIGHT, 3))
    print("wrong:", vr1_ray.score(RIGHT, 4)["reward"])
    print("cut:  ", vr1_ray.score(RIGHT, 3, is_finished=False)["reward"])
    print("two:  ", vr1_ray.score(RIGHT, 3, rewards=["hard_format", (names_a_count, 0.5)]))


def curriculum() -> None:
    """PTST by hand: a step's stage says what to sample, and its metrics raise alarms."""
    config = vr1_ray.load_config("configs/quickstart_rl.yaml")
    ptst = vr1_ray.make_curriculum(config.curriculum)
    while not ptst.is_finished():
        step, stage = ptst.begin_step()
        cut = 1.0 if stage.number == 2 else 0.0  # here your own sampling and training would be
        ptst.observe(step, {"truncation_rate": cut, "accuracy": 0.5})
        told = "".join(f"  ! {alarm}" for alarm in ptst.alarms())
        print(f"step {step}: {stage.max_response_tokens} tokens x {stage.group_size}{told}")
    print([(row["stage"], row["steps_seen"], row["accuracy"]) for row in ptst.summary()])


def what_a_run_saved() -> None:
    """Metrics are a row a step, rollouts a row a response: `pandas.DataFrame(rows)` takes both."""
    for row in vr1_ray.read_metrics("ten_lines"):
        print(row["step"], row["stage"], row["reward/mean"], row["reward/object:is_short"])
    rollouts = vr1_ray.read_rollouts("ten_lines", step=2)
    print(
        len(rollouts), "responses of", fmean(row["response_tokens"] for row in rollouts), "tokens"
    )
    print(rollouts[0]["images"][0].decode().size, rollouts[0]["response"])


def a_policy() -> None:
    """One engine for many questions. A picture is a path, a PIL image, bytes, or a cell of a data set."""
    [picture] = vr1_ray.read_rollouts("ten_lines", step=1)[0]["images"]
    with vr1_ray.Policy("runs/ten_lines/policy", max_tokens=24) as policy:
        for seed in (1, 2):
            row = policy.ask("How many circles are there?", picture.decode(), answer=3, seed=seed)
            print(row["response"], row["finish_reason"], row["correct"])


if __name__ == "__main__":
    for part in (scores, curriculum, what_a_run_saved, a_policy):
        print(f"\n== {part.__name__} ==")
        part()
