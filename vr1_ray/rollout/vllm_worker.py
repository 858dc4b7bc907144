"""What runs inside vLLM's own processes: taking weights over, and banning ids.

vLLM imports this module in each of its workers (`worker_extension_cls`, `logits_processors`); nothing of
the package but `vllm_engine.py`, by name, refers to it. It may therefore import vllm at its top.

Weights arrive as packed buckets in a file of shared memory, which every worker of the node maps, as handles
of the trainer's own GPU memory (`cuda_ipc.py`), or by a broadcast to every worker (`broadcast.py`): tensor parallel
workers read the same bytes and each takes its shard.
"""

import logging
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from vllm.config import VllmConfig
from vllm.distributed.weight_transfer.base import (
    WeightTransferEngine,
    WeightTransferInitInfo,
    WeightTransferUpdateInfo,
)
from vllm.distributed.weight_transfer.factory import WeightTransferEngineFactory
from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead
from vllm.model_executor.model_loader.reload import (
    finalize_layerwise_reload,
    initialize_layerwise_reload,
)
from vllm.v1.sample.logits_processor import BatchUpdate
from vllm.v1.sample.logits_processor import LogitsProcessor as RunnerV1Processor
from vllm.v1.worker.gpu.sample.logits_processor import LogitsContext
from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor as RunnerV2Processor

from vr1_ray.config import ModelConfig
from vr1_ray.models import load_adapter
from vr1_ray.weights.broadcast import BroadcastGroup, BroadcastLostError, BroadcastMember
from vr1_ray.weights.cuda_ipc import Handle, open_block
from vr1_ray.weights.packing import crc32, unpack_block
from vr1_ray.wording import counted

BACKEND = "vr1_packed"
BANNED_IDS_KEY = "vr1_banned_ids"  # in vLLM's additional_config


class WorkerExtension:
    """Mixed into vLLM's worker: calls that its weight-transfer interface has no place for."""

    def receive_broadcast(
        self, group: dict[str, Any], num_bytes: int, crc: int | None
    ) -> int | str:
        """Receive a block that the next `update_weights` loads; its checksum going on from `crc`, 0 without one.

        Returns what happened if the broadcast was lost: raising in one worker leaves vLLM out of step with others.
        """
        transfer: Any = self.weight_transfer_engine  # type: ignore[attr-defined]
        worker: int = self.rank  # type: ignore[attr-defined]
        try:
            return transfer.receive_block(BroadcastGroup(**group), worker, num_bytes, crc)
        except BroadcastLostError as error:
            return str(error)

    def abandon_weight_update(self) -> None:
        """End an update of which a part never came, so that another can begin: vLLM keeps books layer by layer.

        Until that one ends, the weights are of no version.
        """
        self.weight_transfer_engine.missing = set()  # type: ignore[attr-defined]
        self.finish_weight_update()  # type: ignore[attr-defined]


class BanTokens(RunnerV1Processor, RunnerV2Processor):
    """No request samples a banned id, and none has probability mass in `processed_logprobs`.

    It has both of vLLM's interfaces, for `VllmConfig.use_v2_model_runner` chooses between them by what the machine
    has: Model Runner V1 where there is no Triton (on CPU), which makes it with a device and calls `apply(logits)`;
    V2 where there is (on GPUs), which makes it with its request states and calls `apply(logits, ctx)`.

    The ids come with vLLM's `additional_config`, or, for a server, from the model's own adapter:
    `vllm serve POLICY --logits-processors vr1_ray.rollout.vllm_worker:BanTokens`.
    """

    def __init__(self, vllm_config: VllmConfig, *_of_the_runner: object) -> None:
        banned = vllm_config.additional_config.get(BANNED_IDS_KEY)
        if banned is None:
            banned = load_adapter(ModelConfig(path=vllm_config.model_config.model)).banned_ids
        # They go to the device at the first use: V2 makes processors in the memory of the weights, and an engine
        # that sleeps loses what is there.
        self.banned_ids = torch.tensor(banned, dtype=torch.long, device="cpu")

    def apply(self, logits: torch.Tensor, _: LogitsContext | None = None) -> torch.Tensor:
        """In place, in every row of `logits` [rows, vocabulary]."""
        if self.banned_ids.device != logits.device:
            self.banned_ids = self.banned_ids.to(logits.device)
        return logits.index_fill_(1, self.banned_ids, float("-inf"))

    def is_argmax_invariant(self) -> bool:
        return False  # so V1 also runs it for greedy requests, and before temperature

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Nothing depends on the batch."""


@dataclass
class PackedInit(WeightTransferInitInfo):
    """No rendezvous is needed."""


@dataclass
class PackedUpdate(WeightTransferUpdateInfo):
    """One bucket: its table, and where its bytes lie: in a file, in GPU memory that handles open, or received before."""

    names: list[str]
    dtypes: list[str]
    shapes: list[list[int]]
    offsets: list[int]
    path: str = ""
    handles: dict[str, Handle] = field(default_factory=dict)
    is_received: bool = False


class PackedWeightTransfer(WeightTransferEngine[PackedInit, PackedUpdate]):
    """Takes packed buckets over into the live model, layer by layer, in the checkpoint's names."""

    init_info_cls = PackedInit
    update_info_cls = PackedUpdate
    supports_draft_weight_update: ClassVar[bool] = False  # type: ignore[misc]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.member = BroadcastMember()
        self.block: torch.Tensor | None = None  # received, not loaded yet

    def init_transfer_engine(self, init_info: PackedInit) -> None:
        """Nothing to set up."""

    def receive_block(
        self, group: BroadcastGroup, worker: int, num_bytes: int, crc: int | None
    ) -> int:
        """Take part in the group's next broadcast as this engine's worker number `worker`; the checksum, if asked for."""
        self.block = None
        self.block = self.member.receive(group, group.first_rank + worker, num_bytes, self.device)
        return 0 if crc is None else crc32(self.block, crc)

    def start_weight_update(self) -> None:
        # remove_duplicate as it is by default: a tied head is its embedding's parameter, listed once.
        self.missing = {name for name, _ in self.model.named_parameters()}
        initialize_layerwise_reload(self.model)

    def receive_weights(self, update_info: PackedUpdate) -> None:
        tensors = unpack_block(
            self._block(update_info),
            names=update_info.names,
            dtypes=update_info.dtypes,
            shapes=update_info.shapes,
            offsets=update_info.offsets,
        )
        if self._is_tied:
            tensors = [pair for pair in tensors if not pair[0].startswith("lm_head.")]
        self.missing -= set(self.model.load_weights(tensors) or ())

    def _block(self, update_info: PackedUpdate) -> np.ndarray | torch.Tensor:
        if update_info.is_received:
            block, self.block = self.block, None
            assert block is not None
            return block
        if update_info.handles:
            return open_block(update_info.handles, self.device)
        return np.memmap(update_info.path, dtype=np.uint8, mode="c")

    def update_weights(self, update_info: dict[str, Any]) -> None:
        self.receive_weights(self.parse_update_info(update_info))
        if self.device.type != "cpu":
            torch.accelerator.synchronize()

    def finish_weight_update(self) -> None:
        finalize_layerwise_reload(self.model, self.model_config)
        clear_deepstack(self.model)
        if self._is_tied:
            self._refresh_tied_head()
        if self.missing:
            raise RuntimeError(
                f"weight update left {counted(len(self.missing), 'parameter')} out: {sorted(self.missing)[:5]}"
            )

    def shutdown(self) -> None:
        self.member.close()

    @property
    def _is_tied(self) -> bool:
        """Published configs say it at the top, where transformers 5 says it beside the text settings too."""
        configs = (self.model_config.hf_config, self.model_config.hf_text_config)
        return any(getattr(config, "tie_word_embeddings", False) for config in configs)

    def _refresh_tied_head(self) -> None:
        """Let the head follow its embedding: the reload skips it, and CPU kernels keep a packed copy."""
        heads = [module for module in self.model.modules() if isinstance(module, ParallelLMHead)]
        if len(heads) != 1:
            raise RuntimeError(f"tied embeddings: expected one output head, found {len(heads)}")
        has_more = hasattr(self.model, "get_language_model")  # than a language model
        language_model = self.model.get_language_model() if has_more else self.model
        embedding = language_model.model.embed_tokens
        heads[0].weight = embedding.weight
        heads[0].quant_method.process_weights_after_loading(heads[0])


def clear_deepstack(model: Any) -> None:
    """Zero what vLLM's Qwen3-VL adds to its first layers, as it was made: text is to get nothing.

    It lies in the memory of the weights, whose contents level 2 of sleep drops, and is no buffer that vLLM would keep.
    """
    for held in getattr(model, "deepstack_input_embeds", None) or ():
        held.zero_()


# vLLM warns of a tied head that "failed to load" at each update; `missing` is the check that counts.
logging.getLogger("vllm.model_executor.model_loader.reload.layerwise").setLevel(logging.ERROR)
WeightTransferEngineFactory.register_engine(BACKEND, PackedWeightTransfer)
