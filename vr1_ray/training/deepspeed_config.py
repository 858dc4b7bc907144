"""DeepSpeed's settings from ours. DeepSpeed is told as little as possible.

The trainer sets the accumulation boundary by hand and scales the loss itself, so DeepSpeed believes in
one micro-batch of one row per update.
"""

from typing import Any

from vr1_ray.config import ModelConfig, TrainerConfig

# ZeRO-3, of trainer and reference alike: both are to compute what the whole policy computes, bit for bit.
PARTITIONED = {
    "stage3_param_persistence_threshold": 10_000,  # norms and biases stay whole on each rank
    # DeepSpeed's own F.linear, for the whole process, would round before it adds the bias. Without it a gathered weight
    # lives until its backward pass: the layer's own where activations are checkpointed.
    "memory_efficient_linear": False,
}


def deepspeed_config(
    model: ModelConfig, trainer: TrainerConfig, *, is_gpu: bool = False
) -> dict[str, Any]:
    """The dict for `deepspeed.initialize`: ZeRO stage, precision, AdamW, clipping, offload.

    `is_gpu`: the ranks have GPUs, where gradients travel while the backward pass goes on.
    """
    is_bf16 = model.dtype == "bfloat16"
    optimizer = trainer.optimizer
    # Without sharding, bf16 would lose float32 master weights; stage 1 keeps them, with the same sums.
    stage = max(trainer.zero_stage, 1) if is_bf16 else trainer.zero_stage
    zero: dict[str, Any] = {"stage": stage, "overlap_comm": is_gpu}
    if stage == 3:
        zero |= PARTITIONED
        zero["stage3_gather_16bit_weights_on_model_save"] = False  # we gather in groups: weights.py
    if trainer.offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": is_gpu}
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": optimizer.max_grad_norm
        if stage
        else 0.0,  # stage 0: see PolicyTrainer._step
        "zero_optimization": zero,
        "bf16": {"enabled": is_bf16},
        "optimizer": {
            "type": "AdamW",
            "params": {
                "lr": optimizer.lr,
                "betas": list(optimizer.betas),
                "eps": optimizer.eps,
                "weight_decay": optimizer.weight_decay,
                # torch's own AdamW in one kernel: nothing to compile, the same on CPU (offloaded too) and GPU.
                "torch_adam": True,
                "fused": True,
            },
        },
        "zero_force_ds_cpu_optimizer": False,  # offload takes torch's AdamW too
        "steps_per_print": 1_000_000_000,
    }
    if is_bf16:
        config["data_types"] = {"grad_accum_dtype": "fp32"}
    return config


def reference_deepspeed_config(model: ModelConfig, *, is_gpu: bool = False) -> dict[str, Any]:
    """The dict for a frozen policy that its ranks share: ZeRO-3 without an optimizer."""
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "zero_optimization": {"stage": 3, "overlap_comm": is_gpu} | PARTITIONED,
        "bf16": {"enabled": model.dtype == "bfloat16"},
        "steps_per_print": 1_000_000_000,
    }
