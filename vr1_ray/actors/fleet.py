"""The fleet: all actors of a run, and the verbs the loops are written in.

The actor classes are plain; `ray.remote` is applied here. Actors belong to the driver: none outlives it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import ray

from vr1_ray.actors.cluster import PictureSight, with_absolute_paths
from vr1_ray.actors.control import Control
from vr1_ray.actors.curriculum_actor import CurriculumHandle
from vr1_ray.actors.rewards.pools import make_reward_pools
from vr1_ray.actors.rewards.reward_pool import RewardPool
from vr1_ray.actors.rollouts.colocation import guest_launcher, put_to_sleep
from vr1_ray.actors.rollouts.engine_place import launcher
from vr1_ray.actors.rollouts.engine_set import EngineSet
from vr1_ray.actors.rollouts.evaluating import EVALUATION_STEP, evaluate_each, sample_each
from vr1_ray.actors.rollouts.fleet_size import FleetSize
from vr1_ray.actors.rollouts.invalid_rollouts import REWARD_LOG, InvalidRollouts
from vr1_ray.actors.rollouts.rollout_pool import RolloutPool
from vr1_ray.actors.seats import Seats
from vr1_ray.actors.starting import arrivals, what_starts
from vr1_ray.actors.training.reference_actor import ReferenceGroup
from vr1_ray.actors.training.trainer_group import TrainerGroup
from vr1_ray.actors.waiting import wait_for
from vr1_ray.actors.weights.choosing import make_transport
from vr1_ray.actors.weights.weight_sync import WeightTransport
from vr1_ray.config import RunConfig
from vr1_ray.config.objects import NO_OBJECTS, Objects
from vr1_ray.training.rows import Unit, unit_of_group
from vr1_ray.types import Prompt, RolloutGroup, SamplingSpec, Stage

if TYPE_CHECKING:
    from vr1_ray.models import RenderedPrompt


class Fleet:
    """Every actor a run needs, started together.

    Example:
        with Fleet(config) as fleet:
            fleet.start(total_updates=200)
            fleet.submit(prompts, stage, step)
            groups = fleet.collect(step)
    """

    def __init__(self, config: RunConfig, *, objects: Objects = NO_OBJECTS) -> None:
        self.config = config = with_absolute_paths(config)
        self.objects = objects  # handed over from Python; reward actors get theirs
        self.note: Callable[[str], None] = print  # tells the user what happens to the actors
        self.timeout = config.cluster.step_timeout_seconds
        self.start_timeout = config.cluster.start_timeout_seconds
        self.trainers: TrainerGroup | None = None
        self.transport: WeightTransport | None = None
        self.seats: Seats | None = None  # of a colocated run
        self.engines: EngineSet | None = None
        self.reward_pools: list[RewardPool] = []
        self.references: ReferenceGroup | None = None
        self.curriculum: CurriculumHandle | None = None
        self.size: FleetSize | None = None
        self.sight = PictureSight(note=self._tell)

    def start(self, *, total_updates: int = 0, model_path: str | None = None) -> None:
        """Start the actors this kind of run needs, side by side. Raises ActorError with the cause first."""
        starting: dict[str, Any] = {}
        self._tell(what_starts(self.config))
        if self.config.is_colocated:
            self.seats = Seats(self.config)
        if self.config.kind in ("sft", "rl"):
            starting |= self._start_trainers(total_updates, model_path)
        if self.config.kind in ("rl", "eval", "filter") and not self.seats:
            self._start_engines(model_path)
        if self.config.kind in ("rl", "filter"):
            starting |= self._start_reward_pools()
        if self.config.kind == "rl":
            starting |= self._start_curriculum()
        if self.seats:
            # An engine measures, when it starts, how much of its GPU the others left free.
            self._wait_for(starting)
            self._start_engines(model_path)
        if self.config.kind == "rl" and self.engines is not None:
            control = Control(self.config)
            self.size = FleetSize(
                self.config, self.engines, self.reward_pools, control, note=self._tell
            )
        self._wait_for(starting)
        if self.engines is not None:
            began = time.monotonic()
            self.engines.wait_until_started()
            waited = f", {time.monotonic() - began:.0f} s more" if starting else ""
            self._tell(f"started: {len(self.engines.serving)} x engine{waited}")
        if self.trainers is not None:
            self.note(self.trainers.describe())

    def _wait_for(self, starting: dict[str, Any]) -> None:
        wait_for(
            starting,
            phase="starting the run's actors",
            timeout_seconds=self.start_timeout,
            arrived=arrivals(list(starting), self._tell),
        )

    def _start_trainers(self, total_updates: int, model_path: str | None) -> dict[str, Any]:
        self.trainers = TrainerGroup(self.config, self.seats, note=self._tell)
        self.transport = make_transport(self.config.rollout, self.trainers, self.seats, self._tell)
        return self.trainers.starting(total_updates, model_path)

    def _start_engines(self, model_path: str | None) -> None:
        rollout = self.config.rollout
        launch = (
            guest_launcher(self.config, model_path, self.seats)
            if self.seats
            else launcher(self.config, model_path)
        )
        self.engines = EngineSet(
            launch,
            limits=rollout.health,
            number=rollout.num_engines,
            start_seconds=self.start_timeout,
            call_seconds=self.timeout,
            note=self._tell,
        )
        self.pool = RolloutPool(
            self.engines,
            self.reward_pools,  # an evaluation has none: it is judged on the driver
            max_concurrent_responses=rollout.max_concurrent_responses,
            timeout_seconds=self.timeout,
            prepare=self.for_actors,
            invalid=InvalidRollouts(
                self.config.invalid_rollouts, note=self._tell, log=self.config.folder / REWARD_LOG
            ),
        )

    def _start_reward_pools(self) -> dict[str, Any]:
        # Into the list that the pool of rollouts has: of apart engines it was made before.
        self.reward_pools += make_reward_pools(self.config, self.objects, note=self._tell)
        calls = [pool.starting() for pool in self.reward_pools]
        return {name: call for one in calls for name, call in one.items()}

    def _start_curriculum(self) -> dict[str, Any]:
        """The curriculum's actor, and those of the reference policy if there is a KL term."""
        self.curriculum = CurriculumHandle(self.config, note=self._tell)
        if self.config.algorithm.kl_coef <= 0:
            return {}
        self.references = ReferenceGroup(self.config, note=self._tell, seats=self.seats)
        return self.references.starting()

    def _tell(self, text: str) -> None:
        self.note(text)  # as it is now: the run puts its own in place after the fleet is made

    def place_pictures(self, prompts: Sequence[Prompt]) -> None:
        """Ask each node once whether it sees the files of the pictures, and say which way they go."""
        self.sight.place(prompts)

    def for_actors(self, prompts: list[Prompt]) -> list[Prompt]:
        """The prompts as they go to actors. Raises ValueError for a picture that has changed."""
        return self.sight.for_actors(prompts)

    # The verbs of the loop.

    def submit(
        self,
        prompts: list[Prompt],
        stage: Stage,
        step: int,
        rendered: "list[RenderedPrompt] | None" = None,
    ) -> None:
        """Ask for one group per prompt, under the stage's limits. `rendered`: their token ids, if made already."""
        spec = SamplingSpec(
            max_response_tokens=stage.max_response_tokens,
            group_size=stage.group_size,
            temperature=self.config.rollout.temperature,
            top_p=self.config.rollout.top_p,
        )
        self.pool.submit(prompts, spec, stage, step, rendered=rendered)

    def collect(self, step: int) -> list[RolloutGroup]:
        """The step's groups, complete and scored, in prompt order."""
        return self.pool.collect(step)

    def rollout_metrics(self) -> dict[str, float]:
        """Of the step collected last: exposed reward time, invalid and dropped rollouts, lost engines."""
        assert self.engines is not None
        return self.pool.last_metrics | {
            "engines/healthy": float(len(self.engines.serving)),
            "engines/restarts": float(self.engines.num_restarts),
        }

    def evaluate(self, prompts: list[Prompt], spec: SamplingSpec) -> list[RolloutGroup]:
        """Responses through the same engines, in prompt order, outside any stage and not scored."""
        limits = {"max_response_tokens": spec.max_response_tokens, "group_size": spec.group_size}
        outside = Stage(number=0, steps=0, **limits)
        self.pool.submit(prompts, spec, outside, step=EVALUATION_STEP, is_scored=False)
        return self.pool.collect(EVALUATION_STEP)

    def evaluate_each(
        self, prompts: list[Prompt], spec: SamplingSpec, *, attempt: int = 0
    ) -> Iterator[RolloutGroup]:
        """The same, each group as it ends; see `evaluating.py`."""
        return evaluate_each(self.pool, prompts, spec, attempt=attempt)

    def sample_each(
        self, prompts: list[Prompt], spec: SamplingSpec, *, at_once: int
    ) -> Iterator[tuple[Prompt, RolloutGroup | None]]:
        """Scored groups of a filter, each as it ends; see `evaluating.py`."""
        return sample_each(self.pool, prompts, spec, at_once=at_once)

    def add_reference_logprobs(self, groups: list[RolloutGroup]) -> list[RolloutGroup]:
        """Fill `ref_logprobs` of every rollout."""
        assert self.references is not None
        self._make_room()
        return self.references.add_logprobs(groups)

    def train_step(self, groups: list[RolloutGroup]) -> dict[str, float]:
        """Update the policy on a step's groups."""
        units = [
            unit_of_group(group, temperature=self.config.rollout.temperature) for group in groups
        ]
        return self.train_units(units, [group.prompt for group in groups], step=groups[0].step)

    def train_units(
        self, units: list[Unit], prompts: list[Prompt], *, step: int
    ) -> dict[str, float]:
        """Update the policy on training rows; `prompts` bring the images."""
        assert self.trainers is not None
        self._make_room()
        return self.trainers.train_step(units, self.for_actors(prompts), step=step)

    def policy_logprobs(
        self, units: list[Unit], prompts: list[Prompt]
    ) -> dict[str, tuple[float, ...]]:
        """The trainer's log-probabilities of the rows' responses, by row id; nothing of the training changes."""
        assert self.trainers is not None
        self._make_room()
        return self.trainers.compute_logprobs(units, self.for_actors(prompts))

    def _make_room(self) -> None:
        """Colocated engines sleep from here to the next sync."""
        if self.seats and self.engines is not None:
            put_to_sleep(self.engines)

    def sync_weights(self, policy_version: int) -> None:
        """Bring every engine that lives to the trainer's weights, as version `policy_version`; it wakes them."""
        assert self.transport is not None
        assert self.engines is not None
        self.transport.publish(policy_version)
        self.engines.sync(self.transport)

    def policy_hash(self) -> dict[str, str]:
        """`policy_hash` of the version that was synced last, where all rollouts are saved."""
        found = self.transport.policy_hash if self.transport else ""
        return {"policy_hash": found} if found else {}

    def restart_trainers(self) -> None:
        """Replace all trainer ranks after a TrainerLostError. They have the start weights then."""
        assert self.trainers is not None
        self.trainers.restart()

    def reset_reference(self, model_path: str) -> None:
        """Make another policy folder the reference; "" is the policy that the run began with."""
        if self.references is not None:
            self.references.reset(model_path or self.config.model.path)

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Give every actor's place back, so that a recipe's next step has room; engines first, in order."""
        try:
            if self.engines is not None:
                self.engines.close(seconds=0.0 if error else CLOSE_SECONDS)
        finally:
            rewards = [actor for pool in self.reward_pools for actor in pool.actors]
            references = self.references.actors if self.references else []
            for actor in [*rewards, *references]:
                ray.kill(actor)
            if self.size is not None:
                self.size.control.close()
            if self.trainers is not None:
                self.trainers.release()
            if self.seats:
                self.seats.give_back()
            if self.curriculum is not None:
                ray.kill(self.curriculum.actor)


CLOSE_SECONDS = 60.0
