"""What the trainer keeps on disk: the policy for everyone, and its own state for an exact resume.

    FOLDER/                      save_policy: loads in plain transformers and in vLLM
      config.json generation_config.json model*.safetensors and the processor's files
    FOLDER/                      save_state: this framework only, any number of ranks (resharding.py)
      deepspeed/...              weights, optimizer state, number of updates
      rng_rank_0.pt ...          random generators of each rank

Making a folder appear at once (write beside it, then rename) is the caller's, who writes more into it.
All functions are collective: every rank calls them. A rank that can't write (a full disk) never leaves the
others waiting: it takes part to the end, and then all raise.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core.multiarray import _reconstruct

from vr1_ray.training.distributed import failing_together
from vr1_ray.training.resharding import universal
from vr1_ray.training.weights import named_weights

TAG = "deepspeed"  # the folder DeepSpeed writes into
MAX_SHARD_SIZE = "5GB"
# Of numpy's random state: nothing of these runs code of a file's.
_ARRAYS: list[Any] = [_reconstruct, np.ndarray, np.dtype, np.dtypes.UInt32DType]
PROGRESS = ("num_updates", "num_skipped", "horizon")  # of the trainer, kept in DeepSpeed's state


def save_policy(engine: Any, folder: Path) -> None:
    """Write the policy in Hugging Face format, with its processor. Rank 0 writes.

    Raises OSError on every rank if it can't.
    """
    gathered = dict(named_weights(engine))  # on rank 0 the whole model in host memory
    with failing_together():
        if engine.global_rank == 0:
            policy = engine.module
            folder.mkdir(parents=True, exist_ok=True)
            state = dict(gathered)
            for name, tied_to in _tied_names(policy.model).items():
                state[name] = state[tied_to]
            policy.model.save_pretrained(
                folder, state_dict=state, max_shard_size=MAX_SHARD_SIZE, safe_serialization=True
            )
            policy.adapter.save_processor(str(folder))


def save_state(engine: Any, folder: Path, progress: dict[str, Any]) -> None:
    """Write DeepSpeed's state, the trainer's `progress` and each rank's random generators. Raises OSError on every rank if one can't."""
    with failing_together():
        (folder / TAG).mkdir(parents=True, exist_ok=True)  # DeepSpeed would between its barriers
    with failing_together():
        with _errors_after_the_barriers(engine):
            # No file `latest`: rank 0 alone would write it, between barriers; the tag is always named.
            engine.save_checkpoint(
                str(folder), tag=TAG, client_state=dict(progress), save_latest=False
            )
        torch.save(_random_state(), folder / f"rng_rank_{engine.global_rank}.pt")


@contextmanager
def _errors_after_the_barriers(engine: Any) -> Iterator[None]:
    """Inside, what DeepSpeed fails to write is raised at the end: raised at once, the others would wait forever."""
    errors: list[Exception] = []
    patched = [(engine.checkpoint_engine, "save"), (engine, "_copy_recovery_script")]

    def later(write: Any) -> Any:
        def write_or_remember(*arguments: Any, **named: Any) -> None:
            try:
                write(*arguments, **named)
            except (OSError, RuntimeError) as error:
                errors.append(error)

        return write_or_remember

    for owner, name in patched:
        setattr(owner, name, later(getattr(owner, name)))
    try:
        yield
    finally:
        for owner, name in patched:
            delattr(owner, name)  # the class's own shows again
    if errors:
        raise errors[0]


def load_state(engine: Any, folder: Path) -> dict[str, Any]:
    """Restore what `save_state` wrote: bit for bit by the same number of ranks, else the same weights and
    optimizer state, cut anew. Returns the trainer's progress.

    Raises ValueError if the folder holds no state.
    """
    found = len(list(folder.glob("rng_rank_*.pt")))
    if not found:
        raise ValueError(
            f"checkpoint {folder}: no trainer rank has written to it; resume from another"
        )
    if found == engine.world_size or not engine.zero_optimization():
        path, client_state = _load(engine, folder, TAG)
    else:
        with universal(engine, folder / TAG, folder) as (converted, tag):
            path, client_state = _load(engine, converted, tag)
    if path is None:
        raise ValueError(
            f"checkpoint {folder}: DeepSpeed found no state in it; resume from another"
        )
    own = folder / f"rng_rank_{engine.global_rank % found}.pt"
    with torch.serialization.safe_globals(_ARRAYS):
        _set_random_state(torch.load(own, weights_only=True))
    return {name: client_state[name] for name in PROGRESS if name in client_state}


def _load(engine: Any, folder: Path, tag: str) -> tuple[str | None, dict[str, Any]]:
    return engine.load_checkpoint(str(folder), tag=tag, load_lr_scheduler_states=False)


def _tied_names(model: torch.nn.Module) -> dict[str, str]:
    """Weights that `named_parameters` leaves out because they are another's, with the other's name."""
    first: dict[int, str] = {}
    tied = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        other = first.setdefault(id(parameter), name)
        if other != name:
            tied[name] = other
    return tied


def _random_state() -> dict[str, Any]:
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _set_random_state(state: dict[str, Any]) -> None:
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
