"""The parts of the check in one explicit table: what each shows, what it needs, how long it may take.

To add one, write a function of a `Bench` in `parts/` and a row in PARTS. Each part runs in a process of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from examples.gpu_check.machine import Machine


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One process: a function that fills the rows it promises.

    Example:
        Part(name="optimizer", target="optimizer:check", seconds=60,
             rows={"fused_adamw": "torch's fused AdamW against its loop"})
    """

    name: str
    target: str  # module of examples/gpu_check/parts, and its function
    seconds: float  # limit of the whole part on a GPU; ended beyond it
    rows: dict[str, str]  # name -> what it shows
    gpus: int = 1  # at least
    gib: float = 0.0  # memory that the smallest GPU must have
    packages: tuple[str, ...] = field(default=())  # beside torch and transformers


PARTS = (
    Part(
        name="rate",
        target="rate:check",
        seconds=60,
        rows={
            "matrix_rate": "matrix products and copies of this chip, the measure for the 3B's rate"
        },
    ),
    Part(
        name="engine",
        target="engine:check",
        seconds=260,
        rows={
            "engine_starts": "one engine beside a trainer on the same GPU; which model runner vLLM takes",
            "ban": "no banned token is ever sampled",
            "seeds": "the same seeds give the same responses: again, alone, and in company",
            "parity": "log-probabilities of engine and trainer, bfloat16 (float32 on CPU)",
            "parity_synced": "the same after an update and a weight sync",
        },
        packages=("deepspeed",),
    ),
    Part(
        name="engine_fp32",
        target="engine:check_fp32",
        seconds=200,
        rows={
            "parity_fp32": "log-probabilities of engine and trainer, float32",
            "parity_fp32_synced": "the same after an update and a weight sync",
        },
        packages=("deepspeed",),
    ),
    Part(
        name="zero",
        target="zero:check",
        seconds=180,
        rows={
            f"zero_{stage}": f"ZeRO-{stage}: buffers and log-probabilities of the whole model, two updates"
            for stage in range(4)
        },
        packages=("deepspeed",),
    ),
    Part(
        name="fleet",
        target="fleet:check",
        seconds=240,
        rows={
            "fleet_starts": "trainers and engines as Ray actors that share their GPUs",
            "sleep": "an engine asleep gives its memory back, and wakes at the sync",
            "sync_object_store": "weights through Ray's object store, compared by checksum",
            "sync_ipc": "weights out of the trainer's GPU memory, the same checksum",
            "kill": "kill -9 of an engine while it samples: no group is lost",
        },
        packages=("deepspeed", "ray"),
    ),
    Part(
        name="broadcast",
        target="fleet:check_broadcast",
        seconds=150,
        rows={"sync_nccl": "weights by one broadcast to engines on other GPUs (gloo on CPU)"},
        gpus=2,
        packages=("deepspeed", "ray"),
    ),
    Part(
        name="attention",
        target="attention:check",
        seconds=90,
        rows={
            "sdpa": "attention sdpa against eager in float32, and its speed",
            "flash_attention": "flash-attn against the same, and its speed",
        },
    ),
    Part(
        name="optimizer",
        target="optimizer:check",
        seconds=60,
        rows={"fused_adamw": "torch's fused AdamW against its loop, and its speed"},
    ),
    Part(
        name="rl",
        target="rl:check",
        seconds=240,
        rows={
            "cold_start": "the quickstart's cold start, in bfloat16 on a GPU",
            "rl_step": "the quickstart's RL step, ten steps",
        },
        packages=("deepspeed", "ray"),
    ),
    Part(
        name="model_3b",
        target="model_3b:check",
        seconds=240,
        rows={
            "rl_3b": "a randomly initialised Qwen2.5-VL-3B: two RL steps, tokens/s, share of the matrix rate"
        },
        gib=22,
        packages=("deepspeed", "ray"),
    ),
)


def chosen(words: Sequence[str]) -> list[Part]:
    """The parts that words name: a part, a row, or the beginning of a row's name; all for no word.

    Raises ValueError naming a word that names nothing.
    """
    for word in words:
        if not any(_is_named(part, word) for part in PARTS):
            rows = [row for part in PARTS for row in part.rows]
            raise ValueError(
                f"PARTS: {word!r} is no part ({', '.join(part.name for part in PARTS)}) and no row "
                f"({', '.join(rows)}), nor the beginning of one; `--list` tells what they show"
            )
    return [part for part in PARTS if not words or any(_is_named(part, word) for word in words)]


def _is_named(part: Part, word: str) -> bool:
    names = [part.name, *part.rows]
    return word in names or any(row.startswith(f"{word}_") for row in part.rows)


def why_not(part: Part, machine: Machine, *, device: str, gpus: int) -> str:
    """Why a part is not possible here; empty if it is. On CPU, a rehearsal, only packages count."""
    missing = [name for name in part.packages if name not in machine.packages]
    if machine.problem:
        return machine.problem
    if missing:
        return f"{', '.join(missing)} is not installed; `make setup GPU=1`"
    if device == "cpu":
        return ""
    if not machine.gpus:
        torch = machine.packages.get("torch", "not installed")
        return f"no GPU: torch {torch} sees none"
    if len(machine.gpus) < gpus:
        return f"GPUS={gpus}, but torch sees {len(machine.gpus)}"
    if gpus < part.gpus:
        return f"needs {part.gpus} GPUs; run it with GPUS={part.gpus}"
    smallest = min(gpu.total_gib for gpu in machine.gpus[:gpus])
    if smallest < part.gib:
        return f"needs a GPU of {part.gib:g} GiB, the smallest has {smallest:.1f}"
    return ""
