"""How many engines and reward actors a run has: what the config, a stage, a user or the measured times say.

All of it happens between two steps. Nothing is waited for: added actors start in the background, removed
ones have no work then.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from vr1_ray.actors.control import REFUSED, Control, ScaleCommand, check_command
from vr1_ray.actors.rewards.reward_pool import RewardPool
from vr1_ray.actors.rollouts.engine_place import bundle
from vr1_ray.actors.rollouts.engine_set import EngineSet
from vr1_ray.actors.room import Bundle, free_by_node, in_words, most_ever
from vr1_ray.actors.scaling import EngineScaler
from vr1_ray.config import ConfigError, RunConfig
from vr1_ray.config.demand import demand
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
                self._check_room(command)
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

    def _check_room(self, command: ScaleCommand) -> None:
        """Raise ConfigError, with the room there is, for what the cluster's nodes could never hold."""
        least = dict.fromkeys(self.reward_pools, 1)
        if command.engines is not None:
            rollout = self.config.rollout.of_engine(self.engines.num_launched)
            beside = self._demand(engines=0, pools=least)
            most = most_ever(bundle(rollout), rollout.label_selector, beside)
            _refuse_above("engines", command.engines, most, bundle(rollout))
        if command.rewards is not None:
            pool = self.reward_pools[command.pool]
            beside = self._demand(engines=1, pools=least | {pool.name: 0})
            most = most_ever(pool.bundle, pool.config.label_selector, beside)
            _refuse_above("rewards", command.rewards, most, pool.bundle)

    def _demand(self, *, engines: int, pools: Mapping[str, int]) -> dict[str, float]:
        """What the run reserves with so many engines and reward actors."""
        config = self.config
        rollout = replace(config.rollout, num_engines=engines, min_engines=0)
        sized = {
            name: replace(config.reward_pools[name], num_actors=n) for name, n in pools.items()
        }
        return demand(replace(config, rollout=rollout, reward_pools=sized))

    def _obey(self, command: ScaleCommand) -> str:
        texts = []
        if command.engines is not None:
            texts.append(self._set_engines(command.engines, "vr1 scale"))
        if command.rewards is not None:
            pool = self.reward_pools[command.pool]
            more = command.rewards - len(pool.slots)
            text = f"reward pool {pool.name}: {len(pool.slots)} -> {command.rewards} actors"
            text += _waiting(more, pool.bundle, pool.config.label_selector)
            pool.scale(command.rewards)
            self.note(f"{text}: vr1 scale")
            texts.append(text)
        return "; ".join(texts)

    def _set_engines(self, number: int, reason: str) -> str:
        more = number - len(self.engines.wanted)
        rollout = self.config.rollout.of_engine(self.engines.num_launched)
        text = f"engines: {len(self.engines.wanted)} -> {number}"
        text += _waiting(more, bundle(rollout), rollout.label_selector)
        if number != len(self.engines.wanted):
            self.note(f"{text}: {reason}")
        self.engines.resize(number)
        return text


def _refuse_above(name: str, wanted: int, most: int, each: Bundle) -> None:
    if wanted > most:
        raise ConfigError(
            f"--{name} {wanted}: the cluster's nodes, with those that its autoscaler may still add, have room for {most} "
            f"at most ({in_words(each)} each, beside the rest of the run); give {most} or fewer, or add nodes"
        )


def _waiting(more: int, each: Bundle, labels: Mapping[str, str]) -> str:
    """How many of those that are to be added must wait, in words."""
    waiting = more - sum(free_by_node(each, labels).values()) if more > 0 else 0
    if waiting <= 0:
        return ""
    return (
        f" ({waiting} of them wait for room, {in_words(each)} each, and start when there is some)"
    )
