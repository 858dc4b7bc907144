"""The policy as it is loaded: whole, or under ZeRO-3 each rank its part of every weight.

Buffers are no weights: each rank has all of them, and they are to be what they are in the whole policy. DeepSpeed's
`zero.Init` patches torch's constructors so that every float tensor a model makes for itself comes out in the weights'
dtype. A rotary frequency in bfloat16 puts token 8,000 half a turn from its place, so nothing but weights is cast here,
and what was loaded is compared with what transformers makes of the same model without ZeRO.
"""

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from vr1_ray.config import ModelConfig
from vr1_ray.models.base import ModelAdapter
from vr1_ray.training.policy_model import PolicyModel

# A GPU's own rounding while it computes a buffer is below it; one rounding to float16 is 2^-11, to bfloat16 2^-8.
ROUNDING = 1e-5


def load_policy(
    adapter: ModelAdapter,
    config: ModelConfig,
    *,
    chunk_tokens: int,
    deepspeed_config: dict[str, Any] | None = None,
) -> PolicyModel:
    """The policy of `config.path`; with DeepSpeed's settings of stage 3 this rank's part of it (collective).

    Raises RuntimeError, naming them, if buffers came out otherwise than without ZeRO.
    """
    if deepspeed_config is None or deepspeed_config["zero_optimization"]["stage"] < 3:
        return PolicyModel(adapter, config, chunk_tokens=chunk_tokens)
    with _partitioned_loading(deepspeed_config):
        policy = PolicyModel(adapter, config, chunk_tokens=chunk_tokens)
    check_buffers(policy.model)
    return policy


class _PartitionedLoading:
    """What transformers asks for DeepSpeed's settings (its own `HfDeepSpeedConfig` needs accelerate)."""

    def __init__(self, deepspeed_config: dict[str, Any]) -> None:
        self.config = deepspeed_config

    def is_zero3(self) -> bool:
        return True


@contextmanager
def _partitioned_loading(deepspeed_config: dict[str, Any]) -> Iterator[None]:
    """Inside, `from_pretrained` loads each rank's part only, and casts weights alone.

    On leaving, transformers is told to forget it, so that another model of this process loads whole.
    """
    import deepspeed
    from transformers.integrations import deepspeed as transformers_deepspeed

    kept_alive = _PartitionedLoading(deepspeed_config)  # transformers holds a weak reference only
    original = deepspeed.zero.Init
    transformers_deepspeed.set_hf_deepspeed_config(kept_alive)
    deepspeed.zero.Init = _init_of_weights(original)
    try:
        yield
    finally:
        deepspeed.zero.Init = original
        transformers_deepspeed.unset_hf_deepspeed_config()


def _init_of_weights(original: Any) -> Any:
    """DeepSpeed's `zero.Init` that casts the weights of a module, and no other tensor that it makes."""
    from deepspeed.runtime.zero import DeepSpeedTensorOverride
    from deepspeed.runtime.zero.partition_parameters import is_zero_param

    class InitOfWeights(original):
        def __init__(self, **settings: Any) -> None:
            super().__init__(tensor_overrides=[DeepSpeedTensorOverride.device], **settings)

        def _post_init_method(self, module: torch.nn.Module) -> None:
            for weight in module.parameters(recurse=False):
                if weight.is_floating_point() and not is_zero_param(weight):
                    weight.data = weight.data.to(self.dtype)
            super()._post_init_method(module)

    return InitOfWeights


def check_buffers(model: Any) -> None:
    """Raise RuntimeError if a buffer of a transformers model is not what it is without ZeRO."""
    found = dict(model.named_buffers())
    changed = [
        f"{name} ({found[name].dtype}, {wanted.dtype} without ZeRO)"
        for name, wanted in _buffers_without_zero(model).items()
        if not _is_same(found[name].cpu(), wanted)
    ]
    if changed:
        raise RuntimeError(
            f"ZeRO-3 changed {len(changed)} buffers of {type(model).__name__}, with which the policy would be another: "
            f"{', '.join(changed)}. Take trainer.zero_stage=2 and reference.sharded=false for this model family."
        )


def _buffers_without_zero(model: Any) -> dict[str, torch.Tensor]:
    """The buffers that `from_pretrained` gives this model without ZeRO; those of the checkpoint have no values here.

    It is transformers' own way, on a model whose weights have no memory.
    """
    kind = type(model)
    with torch.random.fork_rng(devices=[]):
        with ExitStack() as stack:
            for context in kind.get_init_context(model.dtype, False, False, None):
                stack.enter_context(context)
            skeleton = kind(copy.deepcopy(model.config))
        skeleton._move_missing_keys_from_meta_to_device(set(), {"": "cpu"}, None, None)
        skeleton.initialize_weights()
    return dict(skeleton.named_buffers())


def _is_same(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    if wanted.is_meta:  # read from the checkpoint: exact, unless into a narrower type
        return torch.promote_types(found.dtype, wanted.dtype) == found.dtype
    if found.dtype != wanted.dtype:
        return False
    if not wanted.is_floating_point():
        return torch.equal(found, wanted)
    return torch.allclose(found, wanted, rtol=ROUNDING, atol=0.0, equal_nan=True)
