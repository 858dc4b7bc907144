"""Rows of the plan about what learns: trainer ranks, reference actors, their hosts, the disk they write to.

`trainer_shape` is where a config becomes the numbers that `memory.py` reckons with.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from vr1_ray.config import RunConfig
from vr1_ray.config.demand import enabled_stages
from vr1_ray.preflight.choices import zero_stage
from vr1_ray.preflight.limits import OBJECT_STORE_SHARE, Machine, gib, judged
from vr1_ray.preflight.memory import (
    DTYPE_BYTES,
    GIB,
    PIXEL_BYTES,
    TrainerShape,
    checkpoint_bytes,
    reference_bytes,
    trainer_memory,
)
from vr1_ray.preflight.model_size import ModelSize
from vr1_ray.preflight.node import free_disk
from vr1_ray.preflight.table import CheckRow
from vr1_ray.wording import counted

# Policy versions that lie in Ray's object store at once: the one served and the one being published. A broadcast fills
# it only for engines that join between two syncs, or that another's loss left with half of the weights.
STORED_VERSIONS = {"object_store": 2, "ipc": 0, "nccl": 1, "gloo": 1}


def trainer_shape(config: RunConfig, size: ModelSize) -> TrainerShape:
    """The trainer at its largest micro-batch: the token budget, or one row of full length if that is longer."""
    trainer, model = config.trainer, config.model
    prompt, row = _longest(config)
    tokens = max(trainer.max_tokens_per_micro_batch, row)
    dtype_bytes = DTYPE_BYTES[model.dtype]
    per_row = min(prompt, model.max_pixels // max(1, size.vision.pixels_per_token))
    return TrainerShape(
        num_ranks=trainer.num_workers,
        zero_stage=zero_stage(config),
        dtype_bytes=dtype_bytes,
        num_trained=size.num_trained(
            freeze_vision_tower=model.freeze_vision_tower, freeze_projector=model.freeze_projector
        ),
        offloads=trainer.offload_optimizer,
        checkpoints_activations=trainer.gradient_checkpointing,
        micro_batch_tokens=tokens,
        image_tokens=0
        if model.freeze_vision_tower or not size.vision.num_layers
        else per_row * max(1, tokens // row),
        chunk_tokens=min(trainer.logprob_chunk_tokens, tokens),
        overlaps=trainer.num_gpus_per_worker > 0,
    )


def _longest(config: RunConfig) -> tuple[int, int]:
    """Tokens of the longest prompt and of the longest row."""
    if config.kind == "sft":
        row = min(config.data.cutoff_len, config.model.max_model_len)
        return row, row
    prompt = config.data.max_prompt_tokens
    return prompt, prompt + max(stage.max_response_tokens for stage in enabled_stages(config))


def trainer_rows(config: RunConfig, machine: Machine, size: ModelSize) -> Iterator[CheckRow]:
    """Memory of one rank at its largest micro-batch, and what it is made of."""
    shape = trainer_shape(config, size)
    memory = trainer_memory(size, shape)
    is_gpu = config.trainer.num_gpus_per_worker > 0
    limit = machine.gpu_gib * GIB if is_gpu else None
    yield judged("trainer: a rank", memory.device, limit, _trainer_cure(config))
    states = memory.weights + memory.gradients + memory.optimizer
    parts = {
        f"weights, gradients, optimizer (ZeRO-{shape.zero_stage})": states,
        "DeepSpeed's buffers": memory.buffers + memory.summed,
        f"activations of {counted(shape.micro_batch_tokens, 'token')}": memory.activations,
        f"logits of {counted(shape.chunk_tokens, 'token')}": memory.logits,
    }
    for name, value in parts.items():
        yield CheckRow(name=f"  {name}", value=gib(value))
    if config.model.attention == "eager":
        yield CheckRow(
            name="trainer: attention",
            value="eager",
            status="warning",
            cure="eager keeps T x T weights of every head, which are not in the estimate; model.attention=sdpa",
        )


def _trainer_cure(config: RunConfig) -> str:
    """The ways out that the config has not taken yet."""
    trainer = config.trainer
    _, row = _longest(config)
    ways = {
        "trainer.zero_stage=3": trainer.zero_stage < 3,
        "trainer.gradient_checkpointing=true": not trainer.gradient_checkpointing,
        f"trainer.max_tokens_per_micro_batch={row}": trainer.max_tokens_per_micro_batch > row,
        "trainer.offload_optimizer=true": not trainer.offload_optimizer,
        "a larger trainer.num_workers": True,
    }
    return ", or ".join(way for way, is_left in ways.items() if is_left)


def reference_row(config: RunConfig, machine: Machine, size: ModelSize) -> CheckRow:
    """Memory of one reference actor."""
    reference = config.reference
    limit = machine.gpu_gib * GIB if reference.num_gpus_per_actor > 0 else None
    cure = (
        "a larger reference.num_actors, or GPUs with more memory"
        if reference.sharded
        else "each reference actor holds the whole model on one device; reference.sharded=true spreads it over all "
        "of them, algorithm.kl_coef=0 does without (no KL term, unlike the paper)"
    )
    shards = reference.num_actors if reference.sharded else 1
    needed = reference_bytes(size, trainer_shape(config, size), num_shards=shards)
    return judged("reference: an actor", needed, limit, cure)


def host_rows(config: RunConfig, machine: Machine, size: ModelSize) -> Iterator[CheckRow]:
    """Host memory of a node full of trainer ranks, rank 0 among them, and its share that Ray's store takes."""
    shape = trainer_shape(config, size)
    ranks = min(shape.num_ranks, machine.gpus_per_node)
    policy = size.num_parameters * shape.dtype_bytes  # whole on rank 0 when it is saved
    prompt, _ = _longest(config)
    pixels = min(config.model.max_pixels, prompt * size.vision.pixels_per_token)
    images = math.ceil(config.prompts_per_step / shape.num_ranks) * pixels * PIXEL_BYTES
    versions = STORED_VERSIONS[config.rollout.weight_transport] if config.kind == "rl" else 0
    store = versions * policy
    total = ranks * (images + trainer_memory(size, shape).host) + policy + store
    limit = None if machine.host_gib is None else machine.host_gib * GIB
    yield judged(
        "host memory: a trainer node",
        total,
        limit,
        "lower model.max_pixels, offload nothing, or spread the ranks over more nodes",
    )
    yield CheckRow(name="  images of a step, all ranks of the node", value=gib(ranks * images))
    if store:
        share = None if limit is None else OBJECT_STORE_SHARE * limit
        cure = f"room for {versions} policy versions in Ray's object store; give `ray start` a larger --object-store-memory"
        yield judged("host memory: Ray's object store", store, share, cure)


def disk_row(config: RunConfig, machine: Machine, size: ModelSize) -> CheckRow:
    """Checkpoints that exist at once (the newest is complete before the oldest goes), and the final policy."""
    is_saving = config.kind == "rl" or config.checkpoint.every_steps > 0
    count = max(1, config.checkpoint.keep_last) + 1 if is_saving else 0
    each = checkpoint_bytes(size, trainer_shape(config, size))
    final = size.num_parameters * DTYPE_BYTES[config.model.dtype]
    free = machine.free_disk_gib
    limit = free_disk(Path(config.runs_folder)) if free is None else free * GIB
    cure = "lower checkpoint.keep_last, or set runs_folder to a larger disk"
    row = judged("disk: checkpoints", count * each + final, limit, cure)
    detail = f"{count} x {gib(each)} + {gib(final)}"
    return replace(row, value=f"{row.value} ({detail})")
