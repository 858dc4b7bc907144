"""The policy trainer: one rank of DeepSpeed, from training rows to an updated policy.

It is algorithm-blind (asks for the loss of each token) and model-blind (asks the adapter). It does the
averaging: over tokens, micro-batches and ranks, so that loss and gradient are those of the whole
mini-batch. It knows no Ray; `actors/training/trainer_actor.py` puts it behind one.
"""

from collections.abc import Iterator
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
    refuse_non_finite,
    token_weights,
    totals_over_ranks,
)
from vr1_ray.training.schedule import learning_rate
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
        self.total_updates = total_updates
        self.num_updates = 0
        self.rank = rank
        self.world_size = world_size
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

        pi_old is the policy before the first update: with one update it is the detached current one,
        with several it is computed beforehand (or the engine's, by `algorithm.old_logprobs`).
        Raises FloatingPointError naming the rows if a loss or gradient is not finite.
        """
        vision = VisionInputs(self.adapter, images)
        batches = [self._micro_batches(rows, vision) for rows in rows_by_mini_batch]
        totals = totals_over_ranks(
            [batch.rows for batch in batches], [len(batch) for batch in batches], self.device
        )
        old = self._old_logprobs(batches, totals)
        sums = StepSums()
        norms, rates = [], []
        for number, (batch, total) in enumerate(zip(batches, totals, strict=True)):
            rates.append(self._set_learning_rate())
            norms.append(self._update(batch, total, old[number], sums, is_first=number == 0))
        return _metrics(sums.over_ranks(self.device), totals) | {
            "grad_norm": sum(norms) / len(norms),
            "lr": rates[-1],
        }

    def compute_logprobs(
        self, rows: list[TrainRow], images: dict[str, EncodedImage]
    ) -> list[tuple[float, ...]]:
        """The policy's log-probabilities of the rows' responses, without gradient."""
        batch = self._micro_batches(rows, VisionInputs(self.adapter, images), drop_empty=False)
        at_least = int(max_over_ranks(torch.tensor(len(batch), device=self.device)))
        return [tuple(logprobs.tolist()) for logprobs in score(self.engine, batch, at_least)]

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
        checkpoint.save_state(self.engine, folder, num_updates=self.num_updates)

    def load_checkpoint(self, folder: Path) -> None:
        """Restore what `save_checkpoint` wrote, bit for bit."""
        self.num_updates = checkpoint.load_state(self.engine, folder)

    def _micro_batches(
        self, rows: list[TrainRow], vision: VisionInputs, *, drop_empty: bool = True
    ) -> MicroBatches:
        if drop_empty:  # they add nothing to loss or gradient
            rows = [row for row in rows if row.weight and row.response_ids]
        return MicroBatches(
            rows,
            vision,
            self.adapter,
            max_tokens=self.config.max_tokens_per_micro_batch,
            device=self.device,
        )

    def _old_logprobs(
        self, batches: list[MicroBatches], totals: list[Totals]
    ) -> list[list[torch.Tensor] | None]:
        """Per mini-batch and row pi_old of the trainer; None where no extra pass is needed."""
        if len(batches) == 1 or self.algorithm.old_logprobs == "rollout":
            return [None] * len(batches)
        return [
            score(self.engine, batch, total.num_micro_batches)
            for batch, total in zip(batches, totals, strict=True)
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
        """One optimizer update. Returns the gradient norm before clipping."""
        last = total.num_micro_batches - 1
        own = StepSums()
        bad_rows: list[str] = []
        for place in range(total.num_micro_batches):
            self.engine.set_gradient_accumulation_boundary(place == last)
            indices, micro_batch = batch.make(place)
            old_N = torch.cat([old[index] for index in indices]) if old and indices else None
            tokens = self._tokens(micro_batch, old_N)
            loss_N, metrics = self.algorithm.loss(tokens)
            weights_N = token_weights(micro_batch, total, self.algorithm.aggregation)
            loss = (loss_N * weights_N).sum()
            # DeepSpeed averages over ranks; each rank's loss already is its share of the mean.
            self.engine.backward(loss * self.world_size)
            is_filler = not indices
            own.add({"loss": loss} | {k: v * (not is_filler) for k, v in metrics.items()})
            self._compare(micro_batch, tokens, own, skip=is_filler or not (is_first or old))
            bad_rows += _rows_not_finite(micro_batch, loss_N)
        mean_loss = own.over_ranks(self.device)["loss"]
        refuse_non_finite("loss", mean_loss, self.num_updates, bad_rows)
        norm = self._step()
        refuse_non_finite(
            "gradient norm", norm, self.num_updates, [row.row_id for row in batch.rows]
        )
        self.num_updates += 1
        sums.merge(own)
        return norm

    def _tokens(self, micro_batch: MicroBatch, old_N: torch.Tensor | None) -> TokenBatch:
        """Run the policy over a micro-batch, and put beside its log-probabilities what the loss needs."""
        logprobs_N, entropy_N = self.engine(micro_batch)
        if self.algorithm.old_logprobs == "rollout":
            old_N = micro_batch.per_token(lambda row: row.rollout_logprobs)
        ref_N = None
        if self.algorithm.needs_reference:
            ref_N = micro_batch.per_token(lambda row: row.ref_logprobs)
        advantages_B = micro_batch.per_row(lambda row: row.advantage)
        return TokenBatch(
            logprobs_N=logprobs_N,
            old_logprobs_N=logprobs_N.detach() if old_N is None else old_N,
            ref_logprobs_N=ref_N,
            advantages_N=advantages_B[micro_batch.row_index_N],
            entropy_N=entropy_N,
            row_index_N=micro_batch.row_index_N,
        )

    def _compare(
        self, micro_batch: MicroBatch, tokens: TokenBatch, sums: StepSums, *, skip: bool
    ) -> None:
        """Add |trainer's - engine's| log-probability, before the step's first update, to the sums."""
        known = all(row.rollout_logprobs is not None for row in micro_batch.rows)
        if skip or not known:
            sums.add_difference(tokens.entropy_N.new_empty(0))
            return
        is_engines = self.algorithm.old_logprobs == "rollout"
        before_N = tokens.logprobs_N.detach() if is_engines else tokens.old_logprobs_N
        engine_N = micro_batch.per_token(lambda row: row.rollout_logprobs)
        sums.add_difference((before_N - engine_N).abs())

    def _set_learning_rate(self) -> float:
        rate = learning_rate(self.config.optimizer, self.num_updates, self.total_updates)
        for group in self.engine.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _step(self) -> float:
        """Clip and update. Without ZeRO DeepSpeed keeps no norm, so clipping is ours there."""
        if self.engine.zero_optimization():
            self.engine.step()
            return float(self.engine.get_global_grad_norm())
        limit = self.config.optimizer.max_grad_norm
        norm = torch.nn.utils.clip_grad_norm_(self.engine.module.parameters(), limit or torch.inf)
        if torch.isfinite(norm):
            self.engine.step()
        return float(norm)


def _rows_not_finite(micro_batch: MicroBatch, loss_N: torch.Tensor) -> list[str]:
    is_bad_N = ~torch.isfinite(loss_N.detach())
    if not is_bad_N.any():
        return []
    return [micro_batch.rows[index].row_id for index in micro_batch.row_index_N[is_bad_N].unique()]


def _metrics(sums: dict[str, float], totals: list[Totals]) -> dict[str, float]:
    """Means of all ranks: the loss over updates, the algorithm's metrics over tokens."""
    num_tokens = sum(total.tokens for total in totals)
    largest, difference = sums.pop("largest_difference"), sums.pop("difference")
    compared, loss = sums.pop("compared"), sums.pop("loss")
    metrics = {"loss": loss / len(totals)} | {
        name: value / num_tokens for name, value in sums.items()
    }
    if compared:
        metrics |= {"logprob_diff/max": largest, "logprob_diff/mean": difference / compared}
    return metrics
