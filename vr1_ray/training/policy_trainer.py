"""The policy trainer: one rank of DeepSpeed, from training rows to an updated policy.

It is algorithm-blind (asks for the loss of each token) and model-blind (asks the adapter). It does the
averaging: over tokens, micro-batches and ranks, so that loss and gradient are those of the whole
mini-batch. It knows no Ray; `actors/training/trainer_actor.py` puts it behind one.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from vr1_ray.algorithms import Algorithm, TokenBatch
from vr1_ray.config import ModelConfig, TrainerConfig
from vr1_ray.models import load_adapter
from vr1_ray.training import checkpoint
from vr1_ray.training.batch import MicroBatch, VisionInputs
from vr1_ray.training.deepspeed_config import deepspeed_config
from vr1_ray.training.distributed import fix_arithmetic, max_over_ranks, training_device
from vr1_ray.training.loading import load_policy
from vr1_ray.training.mini_batch import (
    StepSums,
    Totals,
    step_metrics,
    token_weights,
    tokens_over_ranks,
    totals_over_ranks,
)
from vr1_ray.training.non_finite import GradientWatch, Suspects, drop_gradients, spread, told
from vr1_ray.training.schedule import Horizon, first_horizon, learning_rate, resumed_horizon
from vr1_ray.training.scoring import MicroBatches, score
from vr1_ray.training.weights import device_weights, named_weights, weight_shapes
from vr1_ray.types import EncodedImage, TrainRow


class PolicyTrainer:
    """One rank of the trainer. `init_distributed` comes first, also for a single rank.

    Every method is collective: all ranks call it, with as many mini-batches and their own rows.

    Example:
        init_distributed(rank=0, world_size=1, master_addr="127.0.0.1", master_port=29500)
        trainer = PolicyTrainer(model=config.model, trainer=config.trainer, seed=0, total_updates=200,
                                algorithm=make_algorithm(config.algorithm), rank=0, world_size=1)
        metrics = trainer.train_step([rows], images)  # one optimizer update per list of rows
    """

    def __init__(
        self,
        *,
        model: ModelConfig,
        trainer: TrainerConfig,
        algorithm: Algorithm,
        seed: int,
        total_updates: int,
        rank: int,
        world_size: int,
        deterministic: bool = False,
    ) -> None:
        fix_arithmetic(num_threads=trainer.num_threads, deterministic=deterministic)
        torch.manual_seed(seed)
        self.config = trainer
        self.algorithm = algorithm
        self.horizon = first_horizon(trainer.optimizer, total_updates)
        self.num_updates = 0  # skipped ones count: the learning rate goes by it
        self.num_skipped = 0  # in a row, up to now
        self._alarms: list[str] = []
        self.rank, self.world_size = rank, world_size
        self.device = training_device()
        self.adapter = load_adapter(model)
        self.engine = self._start_engine(model)

    def _start_engine(self, model: ModelConfig) -> Any:
        import deepspeed

        settings = deepspeed_config(model, self.config, is_gpu=self.device.type == "cuda")
        policy = load_policy(
            self.adapter,
            model,
            chunk_tokens=self.config.logprob_chunk_tokens,
            deepspeed_config=settings,
        )
        self.watch = GradientWatch(policy.model.get_input_embeddings())
        policy.freeze(model)
        if self.config.gradient_checkpointing:
            policy.use_gradient_checkpointing()
        deepspeed.utils.set_z3_leaf_modules(policy, [type(policy.response_logprobs)])
        engine, *_ = deepspeed.initialize(
            model=policy,
            model_parameters=[weight for weight in policy.parameters() if weight.requires_grad],
            config=settings,
        )
        return engine

    def train_step(
        self, rows_by_mini_batch: list[list[TrainRow]], images: dict[str, EncodedImage]
    ) -> dict[str, float]:
        """One optimizer update per mini-batch. Returns metrics of all ranks, the same on each.

        pi_old is the policy before the first update: for the first mini-batch it is the detached current one,
        for the others it is computed beforehand (or the engine's, by `algorithm.old_logprobs`).
        An update whose loss or gradient is not finite is skipped, counted and told (`take_alarms`). Raises
        FloatingPointError naming the rows after `max_skipped_updates` of them in a row; the weights are sound then.
        """
        vision = VisionInputs(self.adapter, images)
        batches = [self._micro_batches(rows, vision) for rows in rows_by_mini_batch]
        totals = totals_over_ranks(
            [batch.rows for batch in batches], [len(batch) for batch in batches], self.device
        )
        for batch, total in zip(batches, totals, strict=True):
            batch.stretch(total.num_micro_batches)
        old = self._old_logprobs(batches)
        sums = StepSums()
        norms, rates = [], []
        for number, (batch, total) in enumerate(zip(batches, totals, strict=True)):
            rates.append(self._set_learning_rate())
            norms.append(self._update(batch, total, old[number], sums, is_first=number == 0))
        finite = [norm for norm in norms if math.isfinite(norm)]
        made = [total for total, norm in zip(totals, norms, strict=True) if math.isfinite(norm)]
        return (
            step_metrics(sums.over_ranks(self.device), made)
            | sums.differences.over_ranks(self.device)
            | tokens_over_ranks([batch.tokens for batch in batches], self.device)
            | {
                "grad_norm": sum(finite) / (len(finite) or math.nan),
                "lr": rates[-1],
                "updates/skipped": float(len(norms) - len(finite)),
            }
        )

    def describe(self) -> str:
        """How it learns, in one line: ranks, ZeRO stage as DeepSpeed runs it, precision, attention."""
        policy, stage = self.engine.module, self.engine.zero_optimization_stage()
        precision = str(policy.model.dtype).removeprefix("torch.")
        return f"trainer: {self.world_size} x {self.device.type}, ZeRO-{stage}, {precision}, attention {policy.attention}"

    def take_alarms(self) -> list[str]:
        """What the user must hear of the updates since the last call; the same on every rank."""
        found, self._alarms = self._alarms, []
        return found

    def compute_logprobs(
        self, rows: list[TrainRow], images: dict[str, EncodedImage]
    ) -> list[tuple[float, ...]]:
        """The policy's log-probabilities of the rows' responses, without gradient."""
        batch = self._micro_batches(rows, VisionInputs(self.adapter, images), drop_empty=False)
        batch.stretch(int(max_over_ranks(torch.tensor(len(batch), device=self.device))))
        return [tuple(logprobs.tolist()) for logprobs in score(self.engine, batch)]

    def named_weights(self, *, on_device: bool = False) -> Iterator[tuple[str, torch.Tensor]]:
        """(Hugging Face name, CPU tensor) of all weights on rank 0, nothing elsewhere; see `weights.py`."""
        return named_weights(self.engine, on_device=on_device)

    def weight_shapes(self) -> Iterator[tuple[str, torch.Tensor]]:
        """The same names with tensors that have no memory, on every rank; see `weights.py`."""
        return weight_shapes(self.engine)

    def device_weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        """(Hugging Face name, tensor where it lies) of all weights on every rank, below ZeRO-3; see `weights.py`."""
        return device_weights(self.engine)

    def save_policy(self, folder: Path) -> None:
        """Write the policy in Hugging Face format, with its processor."""
        checkpoint.save_policy(self.engine, folder)

    def save_checkpoint(self, folder: Path) -> None:
        """Write everything an exact resume needs of the trainer."""
        progress = {"num_updates": self.num_updates, "num_skipped": self.num_skipped}
        checkpoint.save_state(self.engine, folder, progress | {"horizon": asdict(self.horizon)})

    def load_checkpoint(self, folder: Path) -> None:
        """Restore what `save_checkpoint` wrote, bit for bit."""
        progress = checkpoint.load_state(self.engine, folder)
        self.num_updates = progress["num_updates"]
        self.num_skipped = progress.get("num_skipped", 0)
        if "horizon" in progress:
            saved, now = Horizon(**progress["horizon"]), self.horizon.total
            self.horizon = resumed_horizon(self.config.optimizer, saved, self.num_updates, now)

    def _micro_batches(
        self, rows: list[TrainRow], vision: VisionInputs, *, drop_empty: bool = True
    ) -> MicroBatches:
        if drop_empty:  # they add nothing to loss or gradient
            rows = [row for row in rows if row.weight and row.response_ids]
        most = self.config.max_tokens_per_micro_batch
        return MicroBatches(rows, vision, self.adapter, max_tokens=most, device=self.device)

    def _old_logprobs(self, batches: list[MicroBatches]) -> list[list[torch.Tensor] | None]:
        """Per mini-batch and row pi_old of the trainer; None where no extra pass is needed.

        The first mini-batch needs none: its own forward pass is that of the policy before the first update.
        """
        if self.algorithm.old_logprobs == "rollout":
            return [None] * len(batches)
        return [
            score(self.engine, batch) if number else None for number, batch in enumerate(batches)
        ]

    def _update(
        self,
        batch: MicroBatches,
        total: Totals,
        old: list[torch.Tensor] | None,
        sums: StepSums,
        *,
        is_first: bool,
    ) -> float:
        """One optimizer update. Returns the gradient norm before clipping; not finite if the update was skipped."""
        own = StepSums()
        suspects = Suspects()
        for place in range(len(batch)):
            self.engine.set_gradient_accumulation_boundary(place == len(batch) - 1)
            indices, micro_batch = batch.make(place)
            old_N = torch.cat([old[index] for index in indices]) if old and indices else None
            tokens = self._tokens(micro_batch, old_N)
            loss_N, metrics = self.algorithm.loss(tokens)
            loss = (loss_N * token_weights(micro_batch, total, self.algorithm)).sum()
            # DeepSpeed averages over ranks; each rank's loss already is its share of the mean.
            self.engine.backward(spread(loss) * self.world_size)
            is_filler = not indices
            own.add({"loss": loss} | {k: v * (not is_filler) for k, v in metrics.items()})
            self._compare(micro_batch, tokens, own, skip=is_filler or not (is_first or old))
            largest_T = self.watch.take()
            if not is_filler:
                suspects.add(micro_batch, loss_N.detach(), largest_T)
        norm = self._step()
        self.num_updates += 1
        if math.isfinite(norm):
            self.num_skipped = 0
            sums.merge(own)
        else:
            sums.merge(own.without_update())
            self._tell_skipped(suspects)
        return norm

    def _tell_skipped(self, suspects: Suspects) -> None:
        """Raises FloatingPointError, on every rank alike, once too many were skipped in a row."""
        self.num_skipped += 1
        limit = self.config.max_skipped_updates
        alarm = told(self.num_updates, *suspects.culprits(), in_a_row=self.num_skipped, limit=limit)
        if self.num_skipped > limit:
            raise FloatingPointError(alarm)
        self._alarms.append(alarm)

    def _tokens(self, micro_batch: MicroBatch, old_N: torch.Tensor | None) -> TokenBatch:
        """Run the policy over a micro-batch, and put beside its log-probabilities what the loss needs."""
        entropy = "gradient" if self.algorithm.needs_entropy_gradient else "value"
        logprobs_N, entropy_N = self.engine(micro_batch, entropy=entropy)
        rollout_N = ref_N = None
        if self.algorithm.old_logprobs == "rollout" or self.algorithm.needs_rollout_logprobs:
            rollout_N = micro_batch.per_token(lambda row: row.rollout_logprobs)
            old_N = rollout_N if self.algorithm.old_logprobs == "rollout" else old_N
        if self.algorithm.needs_reference:
            ref_N = micro_batch.per_token(lambda row: row.ref_logprobs)
        return TokenBatch(
            logprobs_N=logprobs_N,
            old_logprobs_N=logprobs_N.detach() if old_N is None else old_N,
            ref_logprobs_N=ref_N,
            advantages_N=micro_batch.per_row(lambda row: row.advantage)[micro_batch.row_index_N],
            entropy_N=entropy_N,
            row_index_N=micro_batch.row_index_N,
            rollout_logprobs_N=rollout_N,
        )

    def _compare(
        self, micro_batch: MicroBatch, tokens: TokenBatch, sums: StepSums, *, skip: bool
    ) -> None:
        """Add |trainer's - engine's| log-probability, before the step's first update, to the sums."""
        if skip or any(row.rollout_logprobs is None for row in micro_batch.rows):
            return
        is_engines = self.algorithm.old_logprobs == "rollout"
        before_N = tokens.logprobs_N.detach() if is_engines else tokens.old_logprobs_N
        engine_N = micro_batch.per_token(lambda row: row.rollout_logprobs)
        sums.differences.add((before_N - engine_N).abs())

    def _set_learning_rate(self) -> float:
        rate = learning_rate(self.config.optimizer, self.num_updates, self.horizon)
        for group in self.engine.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _step(self) -> float:
        """Clip (ourselves without ZeRO) and update; a gradient whose norm is not finite is dropped. Returns the norm."""
        if self.engine.zero_optimization():
            self.engine.step()
            norm = float(self.engine.get_global_grad_norm())
            drop_gradients(self.engine, unless=math.isfinite(norm))
            return norm
        limit = self.config.optimizer.max_grad_norm
        weights = self.engine.module.parameters()
        norm = float(torch.nn.utils.clip_grad_norm_(weights, limit or torch.inf))
        if math.isfinite(norm):
            self.engine.step()
        else:
            self.engine.zero_grad()
        return norm
