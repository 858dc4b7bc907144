"""How many engines and reward actors a run has: what the config, a stage, a user or the measured times say.

All of it happens between two steps. Nothing is waited for: added actors start in the background, removed
ones have no work then.
"""

from collections.abc import Callable

from vr1_ray.actors.control import REFUSED, Control, ScaleCommand, check_command
from vr1_ray.actors.rewards.reward_pool import RewardPool
from vr1_ray.actors.rollouts.engine_set import EngineSet
from vr1_ray.actors.scaling import EngineScaler
from vr1_ray.config import ConfigError, RunConfig
from vr1_ray.types import Stage


class FleetSize:
    """Changes the number of engines and reward actors between steps.

    Example:
        size.begin_step(stage)      # commands, and the engines of a new stage
        size.observe(metrics)       # autoscaling, if rollout.max_engines is set
    """

    def __init__(
        self,
        config: RunConfig,
        engines: EngineSet,
        reward_pools: list[RewardPool],
        control: Control,
        note: Callable[[str], None],
    ) -> None:
        self.config, self.engines, self.control, self.note = config, engines, control, note
        self.reward_pools = {pool.name: pool for pool in reward_pools}
        self.stage_number = 0
        rollout = config.rollout
        self.scaler = (
            EngineScaler(least=rollout.min_engines or 1, most=rollout.max_engines)
            if rollout.max_engines
            else None
        )

    def begin_step(self, stage: Stage) -> None:
        """Before a step's prompts are submitted."""
        if stage.number != self.stage_number:
            self.stage_number = stage.number
            enabled = [one for one in self.config.curriculum.stages if one.enabled]
            wanted = [one.num_engines for one in enabled][stage.number - 1 : stage.number]
            if any(
                wanted
            ):  # a curriculum of one's own may have stages that the config does not list
                self._set_engines(wanted[0], f"stage {stage.number}")
        for number, command in self.control.take():
            try:
                check_command(command, self.config)
                text = self._obey(command)
            except ConfigError as error:
                text = REFUSED + str(error)
            self.control.answer(number, text)

    def observe(self, metrics: dict[str, float]) -> None:
        """After a step: what it measured, for autoscaling."""
        settled = len(self.engines.serving) == len(self.engines.wanted)
        if self.scaler is None or not settled:  # a change has not shown its effect yet
            return
        decision = self.scaler.decide(
            running=len(self.engines.wanted),
            step_seconds=metrics["time/step"],
            wait_seconds=metrics["time/generate"],
            busy_seconds=metrics["time/engines_busy"],
        )
        if decision is not None:
            self._set_engines(*decision)

    def _obey(self, command: ScaleCommand) -> str:
        texts = []
        if command.engines is not None:
            texts.append(self._set_engines(command.engines, "vr1 scale"))
        if command.rewards is not None:
            pool = self.reward_pools[command.pool]
            text = f"reward pool {pool.name}: {len(pool.slots)} -> {command.rewards} actors"
            pool.scale(command.rewards)
            self.note(f"{text}: vr1 scale")
            texts.append(text)
        return "; ".join(texts)

    def _set_engines(self, number: int, reason: str) -> str:
        text = f"engines: {len(self.engines.wanted)} -> {number}"
        if number != len(self.engines.wanted):
            self.note(f"{text}: {reason}")
        self.engines.resize(number)
        return text
