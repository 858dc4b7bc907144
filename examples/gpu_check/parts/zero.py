"""ZeRO 0 to 3 on all GPUs of the check, one process a rank: each holds the whole model's buffers and numbers.

Before an update, log-probabilities are compared with those of the whole model without DeepSpeed; after two, with
those of stage 0. One group of ranks goes through all stages, ZeRO-3 last, so that imports are paid for once.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

from examples.gpu_check.bench import Bench, CheckFailedError, cause_of
from examples.gpu_check.models import SHAPES, make_prompts, random_model, random_responses
from examples.gpu_check.scoring import (
    LIMITS,
    RENDEZVOUS_SECONDS,
    SAME_KERNELS,
    differences,
    images_of,
    one_trainer,
    require_close,
    rows_of_responses,
    trainer_config,
)
from vr1_ray.config import ModelConfig

STAGES = (0, 1, 2, 3)
NAMES = ("mean", "p99", "max")  # of `differences`
START_SECONDS = 60.0  # a rank's imports


def check(bench: Bench) -> None:
    """The rows `zero_0` to `zero_3`, each of all ranks."""
    import torch.multiprocessing as multiprocessing

    shape = SHAPES[bench.pick(cpu="tiny", gpu="small")]
    random_model(bench.folder / "model", shape, dtype=bench.dtype, device=bench.device)
    for file in bench.folder.glob("rank_*"):
        file.unlink()
    bench.write(bench.folder / "bench.json")
    context = multiprocessing.get_context("spawn")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    ranks = []
    for rank in range(bench.gpus):
        if bench.is_gpu:
            os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[rank]
        ranks.append(context.Process(target=one_rank, args=(rank, str(bench.folder)), daemon=True))
        ranks[-1].start()
    os.environ["CUDA_VISIBLE_DEVICES"] = visible
    for stage in STAGES:
        with bench.row(f"zero_{stage}") as figures:
            _stage_row(bench, stage, ranks, figures)
    for process in ranks:
        process.join(RENDEZVOUS_SECONDS)


def _stage_row(bench: Bench, stage: int, ranks: list[Any], figures: dict[str, Any]) -> None:
    found = [_answer(bench, rank, stage, process) for rank, process in enumerate(ranks)]
    for rank, answer in enumerate(found):
        if "error" in answer:
            raise CheckFailedError(f"rank {rank}: {answer['error']}")
    figures |= {"ranks": len(found), "dtype": bench.dtype, "fused": found[0]["fused"]}
    figures["optimizer"] = found[0]["optimizer"]
    for when in ("before", "after"):
        parts = [answer[when] for answer in found]
        figures |= {f"{when}_{name}": max(part[name] for part in parts) for name in NAMES}
    figures |= {
        "wrong_buffers": sum(answer["wrong_buffers"] for answer in found),
        "update_seconds": max(answer["seconds"] for answer in found),
        "peak_gib": max(answer["peak_gib"] for answer in found),
    }
    if figures["wrong_buffers"]:
        names = found[0]["wrong_names"]
        raise CheckFailedError(f"buffers are not those of the model without DeepSpeed: {names}")
    for when, limits in (("before", SAME_KERNELS), ("after", LIMITS[bench.dtype])):
        require_close({name: figures[f"{when}_{name}"] for name in NAMES}, limits)


def _answer(bench: Bench, rank: int, stage: int, process: Any) -> dict[str, Any]:
    """What a rank wrote of a stage, after waiting for it. Raises CheckFailedError if it ended before."""
    path = bench.folder / f"rank_{rank}.jsonl"
    while True:
        is_alive = process.is_alive()  # asked first: it may write its last line and end
        lines = path.read_text().splitlines() if path.exists() else []
        if len(lines) > stage:
            return json.loads(lines[stage])
        if not is_alive:
            raise CheckFailedError(
                f"rank {rank} ended with {process.exitcode}; see {bench.folder}/log.txt"
            )
        time.sleep(0.1)


def one_rank(rank: int, folder: str) -> None:
    """One rank through all stages; a line of figures for each."""
    bench = Bench.read(Path(folder) / "bench.json")
    _join(rank, bench)
    subject = Subject(rank, bench)
    for stage in STAGES:
        try:
            answer = subject.figures(stage)
        except Exception as error:  # it is the row's result, and the next stage may do
            answer = {"error": cause_of(error)}
        with open(bench.folder / f"rank_{rank}.jsonl", "a") as file:
            file.write(json.dumps(answer) + "\n")


def _join(rank: int, bench: Bench) -> None:
    """Meet the other ranks where rank 0 listens."""
    from vr1_ray.training.distributed import LOOPBACK, init_distributed, listen

    note = bench.folder / "rank_0.port"
    listener = None
    if rank == 0:
        listener = listen(LOOPBACK)
        note.with_suffix(".tmp").write_text(str(listener.getsockname()[1]))
        note.with_suffix(".tmp").rename(note)
    deadline = time.monotonic() + START_SECONDS
    while not note.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"rank {rank}: rank 0 did not listen within {START_SECONDS:.0f} s")
        time.sleep(0.05)
    init_distributed(
        rank=rank,
        world_size=bench.gpus,
        master_addr=LOOPBACK,
        master_port=int(note.read_text()),
        timeout_seconds=RENDEZVOUS_SECONDS,
        listener=listener,
    )


class Subject:
    """The model, this rank's rows, and what the model without DeepSpeed says of them."""

    def __init__(self, rank: int, bench: Bench) -> None:
        from vr1_ray.training.reference import ReferencePolicy

        self.rank, self.bench = rank, bench
        self.model = ModelConfig(
            path=str(bench.folder / "model"),
            dtype=bench.dtype,
            min_pixels=bench.pick(cpu=784, gpu=200_704),
            max_model_len=8192,
        )
        whole = ReferencePolicy(model=self.model, trainer=trainer_config(bench))
        prompts = make_prompts(2 * bench.gpus + 2)
        responses = random_responses(prompts, bench.pick(cpu=64, gpu=2048))
        rows = rows_of_responses(whole.adapter, prompts, responses)
        self.rows, self.images = rows[rank :: bench.gpus], images_of(prompts)
        self.expected = whole.compute_logprobs(self.rows, self.images)
        self.buffers = {name: buffer.cpu() for name, buffer in whole.policy.named_buffers()}
        self.after: Any = None  # of stage 0

    def figures(self, stage: int) -> dict[str, Any]:
        """What `_stage_row` reads."""
        import torch

        if self.bench.is_gpu:
            torch.cuda.reset_peak_memory_stats()
        world = self.bench.gpus
        with one_trainer(
            self.bench, self.model, rank=self.rank, world_size=world, zero_stage=stage
        ) as trainer:
            wrong = self._wrong_buffers(trainer.engine.module)
            before = trainer.compute_logprobs(self.rows, self.images)
            began = time.monotonic()
            for _ in range(2):
                trainer.train_step([self.rows], self.images)
            seconds = (time.monotonic() - began) / 2
            after = trainer.compute_logprobs(self.rows, self.images)
            optimizer = trainer.engine.basic_optimizer
            kind, is_fused = type(optimizer).__name__, bool(optimizer.defaults.get("fused"))
        self.after = self.after or after
        return {
            "before": differences(before, self.expected),
            "after": differences(after, self.after),
            "wrong_buffers": len(wrong),
            "wrong_names": wrong[:3],
            "optimizer": kind,
            "fused": is_fused,
            "seconds": seconds,
            "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if self.bench.is_gpu else 0.0,
        }

    def _wrong_buffers(self, policy: Any) -> list[str]:
        """Buffers that differ, in type or in one bit, from those of the model without DeepSpeed."""
        import torch

        found = {name: buffer.cpu() for name, buffer in policy.named_buffers()}
        return [
            name
            for name, wanted in self.buffers.items()
            if name not in found
            or found[name].dtype != wanted.dtype
            or not torch.equal(found[name], wanted)
        ]
