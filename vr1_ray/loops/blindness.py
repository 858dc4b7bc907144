"""The blindness probe of an RL run: at a stage's start, does the policy look at its pictures?

Two halves, so that colocated engines and trainer need no turn of their own: `ask` samples while the engines are awake,
`figures` scores just before the step's update, when the trainer has the GPUs and the policy is still the same. It takes
nothing from the sampler, has seeds of its own (greedy, outside any step) and trains nothing: samples and weights of the
run are what they are without it.
"""

from vr1_ray.actors.fleet import Fleet
from vr1_ray.config import RunConfig
from vr1_ray.data.blindness import blindness_figures
from vr1_ray.data.swapped_pictures import Swapped, swap_pictures
from vr1_ray.training.looking import Answered, looks_of, prompts_to_ask, units_to_score
from vr1_ray.types import Prompt, SamplingSpec, Stage


class BlindnessProbe:
    """Asks a few prompts at a stage's start, each with its own picture, a grey one and another prompt's.

    Example:
        probe = BlindnessProbe(config, prompts)
        probe.ask(fleet, stage)
        probe.figures(fleet)    # {"blindness/looks_rate": 1.0, ...}; {} if nothing was asked
    """

    def __init__(self, config: RunConfig, prompts: list[Prompt]) -> None:
        self.config = config.blindness
        self.swapped: list[Swapped] = []
        if self.config.at_stage_start:
            self.swapped = swap_pictures(prompts, self.config.num_prompts)
        self.answered: list[Answered] = []

    def ask(self, fleet: Fleet, stage: Stage) -> None:
        """Sample the three responses of each question from the engines' policy."""
        if not self.swapped:
            return
        wanted = self.config.max_response_tokens or stage.max_response_tokens
        spec = SamplingSpec(
            max_response_tokens=min(wanted, stage.max_response_tokens),
            group_size=1,
            temperature=0.0,
        )
        self.answered = [
            Answered(
                prompt=group.prompt,
                prompt_ids=group.prompt_ids,
                response_ids=group.rollouts[0].response_ids,
                text=group.rollouts[0].text,
            )
            for group in fleet.evaluate(prompts_to_ask(self.swapped), spec)
        ]

    def figures(self, fleet: Fleet) -> dict[str, float]:
        """Score what was asked with the trainer's policy, which must be the one that was asked."""
        answered, self.answered = self.answered, []
        units = units_to_score(answered)
        if not units:
            return {}
        logprobs = fleet.policy_logprobs(units, prompts_to_ask(self.swapped))
        return blindness_figures(looks_of(answered, logprobs), self.config.min_logprob_drop)

    def forget(self) -> None:
        """After going back to a checkpoint: what was asked was of another policy."""
        self.answered = []
