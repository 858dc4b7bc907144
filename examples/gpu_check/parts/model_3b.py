"""Two RL steps of a randomly initialised Qwen2.5-VL-3B: does it fit, and what share of the chip does it use.

Where not all 36 layers fit by the arithmetic of `vr1 check`, it is as many as do, and the row says so. Nothing is
saved; rewards vary by length and repetition, so that every group has a gradient.
"""

import time
from dataclasses import replace
from typing import Any

from examples.gpu_check.bench import Bench, NotPossibleError
from examples.gpu_check.fleets import (
    collect,
    disagreement,
    fleet_config,
    running,
    timed_sync,
    train,
    used_gib,
)
from examples.gpu_check.models import SHAPES, Shape, make_prompts, random_model, write_config
from examples.gpu_check.parts.rate import matrix_rate
from examples.gpu_check.scoring import LIMITS, require_close
from vr1_ray.config import ModelConfig, OptimizerConfig, RunConfig
from vr1_ray.preflight.limits import Machine
from vr1_ray.preflight.model_size import ModelSize, read_model_size
from vr1_ray.preflight.plan import plan_rows
from vr1_ray.preflight.table import is_sound
from vr1_ray.types import RolloutGroup, Stage

STEPS = 2
LAYERS = (36, 28, 20, 12, 6)
SHARES = (0.3, 0.4, 0.5)  # of a GPU for an engine awake


def check(bench: Bench) -> None:
    """The row `rl_3b`."""
    with bench.row("rl_3b") as figures:
        stage = Stage(
            number=1,
            max_response_tokens=bench.pick_sampled(few=16, many=512),
            group_size=bench.pick_sampled(few=2, many=8),
            steps=STEPS,
        )
        shape, config = _choose(bench, stage)
        random_model(bench.folder / "model", shape, dtype=bench.dtype, device=bench.device)
        size = read_model_size(config.model.path)
        figures |= {
            "parameters": size.num_parameters,
            "layers": shape.num_layers,
            "of_layers": SHAPES["3b"].num_layers if bench.is_gpu else shape.num_layers,
            "offload_optimizer": config.trainer.offload_optimizer,
            "attention": config.model.attention,
            "engine": bench.engine,
        }
        rate = matrix_rate(bench)
        figures["matrix_tflops"] = rate / 1e12
        _steps(bench, config, stage, size, rate, figures)


def _choose(bench: Bench, stage: Stage) -> tuple[Shape, RunConfig]:
    """The most layers that fit, the optimizer offloaded only where it must be."""
    folder = bench.folder / "model"
    if not bench.is_gpu:
        write_config(folder, SHAPES["tiny"])
        return SHAPES["tiny"], _config(bench, stage, offload=False, share=0.3)
    machine = Machine(
        gpu_gib=bench.gib,
        num_gpus=bench.gpus,
        gpus_per_node=bench.gpus,
        host_gib=bench.host_gib,
        free_disk_gib=float("inf"),  # nothing is saved
    )
    for layers in LAYERS:
        shape = replace(SHAPES["3b"], num_layers=layers)
        write_config(folder, shape)
        size = read_model_size(str(folder))
        for offload in (False, True):
            for share in SHARES:
                config = _config(bench, stage, offload=offload, share=share)
                if is_sound(plan_rows(config, machine, size=size)):
                    return shape, config
    raise NotPossibleError(f"not even {LAYERS[-1]} layers fit GPUs of {bench.gib:.0f} GiB")


def _config(bench: Bench, stage: Stage, *, offload: bool, share: float) -> RunConfig:
    is_flash = bench.is_gpu and "flash-attn" in bench.packages
    model = ModelConfig(
        path=str(bench.folder / "model"),
        dtype=bench.dtype,
        attention="flash_attention_2" if is_flash else "sdpa",
        min_pixels=bench.pick(cpu=784, gpu=200_704),
        max_pixels=bench.pick(cpu=784, gpu=200_704),
        max_model_len=bench.pick(cpu=256, gpu=2048),
    )
    config = fleet_config(
        bench,
        "model_3b",
        model,
        stage,
        trainer={
            "offload_optimizer": offload,
            "gradient_checkpointing": True,
            "max_tokens_per_micro_batch": bench.pick(cpu=512, gpu=4096),
            "optimizer": OptimizerConfig(lr=1e-6),
            "num_threads": bench.pick(cpu=1, gpu=8),
        },
        rollout={
            "gpu_memory_utilization": share,
            "weight_transport": "ipc"
            if bench.is_gpu and bench.engine == "vllm"
            else "object_store",
            "verify_weights": False,
        },
    )
    config.data.max_prompt_tokens = bench.pick(cpu=128, gpu=1024)
    config.prompts_per_step = _num_prompts(bench)
    return config


def _num_prompts(bench: Bench) -> int:
    return bench.pick_sampled(few=2, many=8) * bench.gpus


def _steps(
    bench: Bench,
    config: RunConfig,
    stage: Stage,
    size: ModelSize,
    rate: float,
    figures: dict[str, Any],
) -> None:
    """The figures are those of the last step: the first one warms up."""
    with running(config, []) as fleet:
        for step in range(1, STEPS + 1):
            began = time.monotonic()
            groups = collect(fleet, make_prompts(_num_prompts(bench), seed=step), stage, step)
            generated = time.monotonic()
            awake = used_gib()
            metrics = train(fleet, groups)
            updated = time.monotonic()
            figures["sync_seconds"] = timed_sync(fleet, step)
            seconds = time.monotonic() - began
            figures |= disagreement(metrics)
            require_close(figures, LIMITS[bench.dtype])
    sampled, trained = _num_tokens(groups)
    figures |= {
        "generate_seconds": generated - began,
        "train_seconds": updated - generated,
        "step_seconds": seconds,
        "tokens_per_second": sampled / seconds,
        "sampled_tokens_per_second": sampled / (generated - began),
        "trained_tokens_per_second": trained / (updated - generated),
    }
    # Forward and backward of the language model; attention, the vision tower and what is recomputed not counted.
    layers = size.text.num_parameters - size.text.vocab * size.text.hidden * (not size.text.is_tied)
    figures["train_share_of_matrix_rate"] = (
        6 * layers * figures["trained_tokens_per_second"] / rate / bench.gpus
    )
    if bench.is_gpu:
        figures["awake_gib"] = awake


def _num_tokens(groups: list[RolloutGroup]) -> tuple[int, int]:
    """Response tokens; and with the prompt's, each once a group."""
    sampled = sum(rollout.num_tokens for group in groups for rollout in group.rollouts)
    return sampled, sampled + sum(len(group.prompt_ids) for group in groups)
