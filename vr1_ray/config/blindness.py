"""Settings of the blindness probe: does the policy look at its pictures? See `data/blindness.py`."""

from dataclasses import dataclass

from vr1_ray.config.ranges import Above0, CountFrom0, CountFrom2, Share


@dataclass
class BlindnessConfig:
    """What is asked, and when the policy counts as blind. `vr1 check --probe` asks by the same settings."""

    at_stage_start: bool = True  # of an RL run; false asks only in `vr1 check --probe`
    num_prompts: CountFrom2 = 8  # each is answered three times, greedily, and scored three times
    max_response_tokens: CountFrom0 = 0  # 0: the stage's
    # Nats per token that a response must lose without its own picture, for the policy to have looked at it.
    min_logprob_drop: Above0 = 0.03
    alarm_looks_rate: Share = 0.125  # an alarm if it looks in no larger share of the questions
