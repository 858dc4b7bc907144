"""What ranks send each other while they learn, and how long that takes. An estimate, counted as if nothing hid it.

With T parameters, P of them trained, w bytes a weight, N ranks, each of which has (N - 1) / N of what it needs elsewhere:

    ZeRO-3          2 w T + w P a micro-batch: all weights gathered for forward and backward pass, gradients scattered
    ZeRO-2          w P a micro-batch, and w P an update: gradients scattered, the new weights gathered
    ZeRO-1          3 w P an update: gradients summed and given back, the new weights gathered
    none            2 w P an update
    pi_old, a sharded reference   w T a micro-batch, where the weights are sharded

The authors' cold start (32 H800, ZeRO-3, one demonstration a rank) took about 2.2 s an update, of which reckoned 0.3 s are products: the rate
between nodes is chosen to give that, half of one 400 Gb/s adapter a GPU. The others are guesses.
"""

import math

from vr1_ray.config import RunConfig
from vr1_ray.preflight.choices import zero_stage
from vr1_ray.preflight.limits import Machine
from vr1_ray.preflight.memory import DTYPE_BYTES
from vr1_ray.preflight.model_size import ModelSize

BETWEEN_NODES = 25e9  # bytes a second into a GPU
WITHIN_NODE = 150e9  # between GPUs of one node
BETWEEN_PROCESSES = 1e9  # gloo


def train_seconds(
    config: RunConfig, machine: Machine, size: ModelSize, tokens: float, *, num_updates: int
) -> float:
    """Traffic of `num_updates` updates on so many tokens, pi_old's passes included."""
    trainer, model = config.trainer, config.model
    micro_batches = _micro_batches(config, tokens / num_updates, trainer.num_workers)
    w = DTYPE_BYTES[model.dtype]
    weights = float(w * size.num_parameters)
    trained = float(
        w
        * size.num_trained(
            freeze_vision_tower=model.freeze_vision_tower, freeze_projector=model.freeze_projector
        )
    )
    stage = zero_stage(config)
    an_update = {
        0: 2 * trained,
        1: 3 * trained,
        2: micro_batches * trained + trained,
        3: micro_batches * (2 * weights + trained),
    }[stage]
    total = num_updates * an_update
    if stage == 3 and config.kind == "rl" and config.algorithm.old_logprobs == "trainer":
        total += (num_updates - 1) * micro_batches * weights  # the first one's pass is its own
    return _seconds(total, trainer.num_workers, trainer.num_gpus_per_worker, machine)


def reference_seconds(config: RunConfig, machine: Machine, size: ModelSize, tokens: float) -> float:
    """Traffic of a sharded reference that scores so many tokens; 0 for one that each actor has whole."""
    reference = config.reference
    if not reference.sharded:
        return 0.0
    micro_batches = _micro_batches(config, tokens, reference.num_actors)
    weights = DTYPE_BYTES[config.model.dtype] * size.num_parameters
    return _seconds(
        micro_batches * weights, reference.num_actors, reference.num_gpus_per_actor, machine
    )


def _micro_batches(config: RunConfig, tokens: float, ranks: int) -> int:
    return max(1, math.ceil(tokens / ranks / config.trainer.max_tokens_per_micro_batch))


def _seconds(num_bytes: float, ranks: int, gpus: float, machine: Machine) -> float:
    rate = BETWEEN_PROCESSES
    if gpus:
        rate = WITHIN_NODE if ranks * gpus <= machine.gpus_per_node else BETWEEN_NODES
    return num_bytes * (ranks - 1) / ranks / rate
