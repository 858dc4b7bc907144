"""What the trainer keeps on disk: the policy for everyone, and its own state for an exact resume.

    FOLDER/                      save_policy: loads in plain transformers and in vLLM
      config.json generation_config.json model*.safetensors and the processor's files
    FOLDER/                      save_state: this framework only, same number of ranks
      deepspeed/...              weights, optimizer state, number of updates
      rng_rank_0.pt ...          random generators of each rank

Making a folder appear at once (write beside it, then rename) is the caller's, who writes more into it.
All functions are collective: every rank calls them.
"""

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from vr1_ray.training.weights import named_weights

TAG = "deepspeed"  # the folder DeepSpeed writes into
MAX_SHARD_SIZE = "5GB"


def save_policy(engine: Any, folder: Path) -> None:
    """Write the policy in Hugging Face format, with its processor. Rank 0 writes."""
    gathered = dict(named_weights(engine))  # on rank 0 the whole model in host memory
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
    if dist.is_initialized():
        dist.barrier()


def save_state(engine: Any, folder: Path, *, num_updates: int) -> None:
    """Write DeepSpeed's state and each rank's random generators."""
    folder.mkdir(parents=True, exist_ok=True)
    engine.save_checkpoint(str(folder), tag=TAG, client_state={"num_updates": num_updates})
    torch.save(_random_state(), folder / f"rng_rank_{engine.global_rank}.pt")
    if dist.is_initialized():
        dist.barrier()


def load_state(engine: Any, folder: Path) -> int:
    """Restore what `save_state` wrote, bit for bit. Returns the number of updates made so far.

    Raises ValueError if the folder holds no state, or that of another number of ranks.
    """
    own_random_state = folder / f"rng_rank_{engine.global_rank}.pt"
    found = len(list(folder.glob("rng_rank_*.pt")))
    if found != engine.world_size:
        raise ValueError(
            f"trainer.num_workers={engine.world_size}: checkpoint {folder} holds the state of {found} ranks; "
            "resume with the same number of ranks"
        )
    path, client_state = engine.load_checkpoint(
        str(folder), tag=TAG, load_lr_scheduler_states=False
    )
    if path is None:
        raise ValueError(
            f"checkpoint {folder}: DeepSpeed found no state in it; resume from another"
        )
    _set_random_state(torch.load(own_random_state, weights_only=False))
    return int(client_state["num_updates"])


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
