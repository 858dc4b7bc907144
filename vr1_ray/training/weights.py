"""The policy's weights by their Hugging Face names: for weight sync and for saving.

Under ZeRO-3 a rank holds a part of each weight, so all ranks must walk through together: weights are
gathered in groups (one layer after the other), which is several times faster than one at a time.
"""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import torch


def named_weights(engine: Any, *, on_device: bool = False) -> Iterator[tuple[str, torch.Tensor]]:
    """(name, CPU tensor) of every weight on rank 0, nothing on other ranks. Collective under ZeRO-3.

    Names are those of the model's own state dict. A head tied to the embeddings comes once, under the
    embeddings' name. The tensors may be the policy's own memory: copy them, never write to them. `on_device`: they
    stay on the GPU if the policy is there.
    """
    parameters = engine.module.model.named_parameters()
    is_sharded = engine.zero_optimization_stage() == 3
    is_rank_0 = engine.global_rank == 0
    for _, group in groupby(parameters, key=lambda item: layer_of(item[0])):
        members = list(group)
        if is_sharded:
            yield from _gathered(members, is_rank_0, on_device)
        elif is_rank_0:
            for name, parameter in members:
                yield name, parameter.detach() if on_device else parameter.detach().cpu()


def weight_shapes(engine: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """(name, tensor without memory) of every weight as `named_weights` brings them; nothing is gathered for it."""
    for name, parameter in engine.module.model.named_parameters():
        shape = getattr(parameter, "ds_shape", parameter.shape)  # under ZeRO-3 it is empty itself
        yield name, torch.empty(shape, dtype=parameter.dtype, device="meta")


def device_weights(engine: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """(name, tensor) of every weight on every rank, where it lies: the policy's own memory, never to be written to.

    Only below ZeRO-3: there each rank has them whole.
    """
    assert engine.zero_optimization_stage() < 3, "under ZeRO-3 a rank holds a part of each weight"
    for name, parameter in engine.module.model.named_parameters():
        yield name, parameter.detach()


def layer_of(name: str) -> str:
    """The group a weight is gathered in: its numbered layer, else the module's first two names.

    Example:
        layer_of("model.language_model.layers.3.mlp.up_proj.weight")  # "model.language_model.layers.3"
    """
    parts = name.split(".")
    numbers = [place for place, part in enumerate(parts) if part.isdigit()]
    return ".".join(parts[: numbers[0] + 1] if numbers else parts[:2])


def _gathered(
    members: list[tuple[str, torch.nn.Parameter]], is_rank_0: bool, on_device: bool
) -> list[tuple[str, torch.Tensor]]:
    import deepspeed

    with deepspeed.zero.GatheredParameters([parameter for _, parameter in members]):
        if not is_rank_0:
            return []
        found = [(name, parameter.detach()) for name, parameter in members]
        return [(name, (one if on_device else one.cpu()).clone()) for name, one in found]


class PolicyHash:
    """The SHA-256 of a policy: of names, shapes, types and bytes of all its weights, in whatever order they come.

    Example:
        policy_hash = PolicyHash()
        for name, weight in policy_hash.of(named_weights(engine)):
            ...
        policy_hash.hexdigest()
    """

    def __init__(self) -> None:
        self._digests: dict[str, str] = {}

    def of(self, weights: Iterable[tuple[str, torch.Tensor]]) -> Iterator[tuple[str, torch.Tensor]]:
        """The weights as they come, each taken into the hash."""
        for name, weight in weights:
            kind = f"{name} {weight.dtype} {tuple(weight.shape)}"
            data = weight.contiguous().reshape(-1).view(torch.uint8).numpy()
            self._digests[kind] = hashlib.sha256(data.data).hexdigest()
            yield name, weight

    def hexdigest(self) -> str:
        lines = [f"{kind} {digest}" for kind, digest in sorted(self._digests.items())]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()
