"""Rows of the plan that say how a run would do it: attention, ZeRO stage, precision, how weights reach the engines."""

from collections.abc import Iterator

from vr1_ray.config import RunConfig
from vr1_ray.models.attention import chosen_attention
from vr1_ray.preflight.memory import DTYPE_BYTES
from vr1_ray.preflight.table import CheckRow
from vr1_ray.wording import counted

TRANSPORTS = {
    "object_store": "each engine fetches them from Ray's object store",
    "nccl": "one broadcast from GPU to GPU",
    "gloo": "one broadcast, without GPUs",
    "ipc": "each engine reads the trainer's GPU memory",
}


def choice_rows(config: RunConfig) -> Iterator[CheckRow]:
    """One row for each choice that the kind of run has."""
    is_training = config.kind in ("sft", "rl")
    if is_training:
        yield CheckRow(name="trainer: ZeRO", value=_zero(config))
    yield CheckRow(name="precision", value=_precision(config, is_training=is_training))
    if is_training:
        yield CheckRow(name="attention", value=_attention(config))
    if config.kind == "rl":
        transport = config.rollout.weight_transport
        yield CheckRow(name="weights to the engines", value=f"{transport}: {TRANSPORTS[transport]}")


def zero_stage(config: RunConfig) -> int:
    """As DeepSpeed gets it: it keeps float32 master weights of a bfloat16 policy from stage 1 on (`deepspeed_config.py`)."""
    stage = config.trainer.zero_stage
    return max(stage, 1) if DTYPE_BYTES[config.model.dtype] == 2 else stage


def _zero(config: RunConfig) -> str:
    trainer = config.trainer
    where = ", optimizer in host memory" if trainer.offload_optimizer else ""
    return f"stage {zero_stage(config)}, {counted(trainer.num_workers, 'rank')}{where}"


def _precision(config: RunConfig, *, is_training: bool) -> str:
    has_masters = is_training and config.model.dtype == "bfloat16"
    return config.model.dtype + (", optimizer and master weights in float32" if has_masters else "")


def _attention(config: RunConfig) -> str:
    """ "auto" is decided on the machine that loads the model, which may not be this one."""
    attention = config.model.attention
    if attention != "auto":
        return attention
    if not config.trainer.num_gpus_per_worker or config.model.dtype != "bfloat16":
        return f"auto: {chosen_attention(config.model)}"
    return f"auto: flash_attention_2 where it is installed, else sdpa (here {chosen_attention(config.model)})"
