"""The shape of a model from its config.json alone: parameters, KV cache per token. No weights are read.

Language models are decoders with grouped KV heads and a gated MLP. Each family has a function that reads its config.json
and a row in SIZES, beside its adapter's row in `vr1_ray/models`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vr1_ray.preflight.published import published_config


class UnknownModelError(ValueError):
    """The shape can't be found out: the message says why, and what would help."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextShape:
    """The language model, head included."""

    num_layers: int
    hidden: int
    intermediate: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    vocab: int
    is_tied: bool  # the head shares the embeddings' weights
    norms_heads: bool = False  # as Qwen3: norms of queries and keys, and no biases of q, k and v

    @property
    def num_parameters(self) -> int:
        """Embeddings, layers, final norm, head."""
        queries, keys = self.num_heads * self.head_dim, self.num_kv_heads * self.head_dim
        beside = 2 * self.head_dim if self.norms_heads else queries + 2 * keys
        attention = self.hidden * (2 * queries + 2 * keys) + beside
        layer = attention + 3 * self.hidden * self.intermediate + 2 * self.hidden
        embeddings = self.vocab * self.hidden * (1 if self.is_tied else 2)
        return embeddings + self.num_layers * layer + self.hidden

    def kv_bytes_per_token(self, dtype_bytes: int) -> int:
        """A key and a value per layer and KV head."""
        return 2 * self.num_layers * self.num_kv_heads * self.head_dim * dtype_bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class VisionShape:
    """The vision tower; its merger is the projector that `model.freeze_projector` freezes."""

    num_layers: int
    hidden: int
    intermediate: int
    patch: int  # pixels
    merge: int  # patches a side of one vision token
    tower_parameters: int  # patch embedding and blocks, without the merger
    merger_parameters: int

    @property
    def pixels_per_token(self) -> int:
        """0 for a model that sees no pictures."""
        return (self.patch * self.merge) ** 2


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSize:
    """What the arithmetic of a run needs to know of a model.

    Example:
        size = read_model_size("Qwen/Qwen2.5-VL-7B-Instruct")
        size.num_parameters              # 8_292_166_656
        size.text.kv_bytes_per_token(2)  # 57_344
    """

    text: TextShape
    vision: VisionShape

    @property
    def num_parameters(self) -> int:
        vision = self.vision.tower_parameters + self.vision.merger_parameters
        return self.text.num_parameters + vision

    def num_trained(self, *, freeze_vision_tower: bool, freeze_projector: bool) -> int:
        """Parameters that get a gradient."""
        frozen = freeze_vision_tower * self.vision.tower_parameters
        return self.num_parameters - frozen - freeze_projector * self.vision.merger_parameters


def read_model_size(path: str) -> ModelSize:
    """The size of a local model folder, of a hub model in the local cache, or of a published one known here.

    Nothing is downloaded. Raises UnknownModelError if there is no config.json, or none of a known family.
    """
    try:
        file = _config_file(path)
    except UnknownModelError:
        published = published_config(path)
        if published is None:
            raise
        return SIZES[published["model_type"]](published)
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        model_type = raw["model_type"]
        if model_type not in SIZES:
            raise UnknownModelError(
                f"model.path: {path!r} is of type {model_type!r}, whose sizes are not known here "
                f"({', '.join(SIZES)} are); add a row in vr1_ray/preflight/model_size.py"
            )
        return SIZES[model_type](raw)
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise UnknownModelError(
            f"model.path: {file} lacks what its sizes are made of ({error!r}); download the model again"
        ) from error


def _config_file(path: str) -> Path:
    local = Path(path) / "config.json"
    if local.is_file():
        return local
    if not Path(path).exists() and path.count("/") == 1 and not path.startswith((".", "/", "~")):
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(path, "config.json")
        if isinstance(cached, str):
            return Path(cached)
        raise UnknownModelError(
            f"model.path: {path!r} is not in the local cache; `hf download {path} config.json` fetches what is needed here"
        )
    raise UnknownModelError(
        f"model.path: {path!r} holds no config.json (yet); give a model folder or a hub name"
    )


def _text(raw: dict[str, Any], *, norms_heads: bool = False) -> TextShape:
    """Both layouts: the text settings in `text_config` (transformers 5), or at the top (as published)."""
    text = raw.get("text_config") or raw
    hidden, heads = text["hidden_size"], text["num_attention_heads"]
    # Qwen3's heads are 128 wide whatever the hidden size; Qwen2's share it among them.
    head_dim = text.get("head_dim") or (128 if norms_heads else hidden // heads)
    return TextShape(
        num_layers=text["num_hidden_layers"],
        hidden=hidden,
        intermediate=text["intermediate_size"],
        num_heads=heads,
        num_kv_heads=text["num_key_value_heads"],
        head_dim=head_dim,
        vocab=text["vocab_size"],
        is_tied=bool(raw.get("tie_word_embeddings", text.get("tie_word_embeddings", False))),
        norms_heads=norms_heads,
    )


def _linear(inputs: int, outputs: int) -> int:
    """Weights and bias of one layer."""
    return (inputs + 1) * outputs


def _patches(vision: dict[str, Any], hidden: int) -> int:
    return 3 * int(vision.get("temporal_patch_size", 2)) * int(vision["patch_size"]) ** 2 * hidden


def _attention(hidden: int) -> int:
    return 4 * _linear(hidden, hidden)


def _merger(hidden: int, merge: int, out: int, *, norm: int) -> int:
    merged = hidden * merge**2
    return norm + _linear(merged, merged) + _linear(merged, out)


def _qwen2_5_vl(raw: dict[str, Any]) -> ModelSize:
    vision = raw["vision_config"]
    layers, hidden, wide = vision["depth"], vision["hidden_size"], vision["intermediate_size"]
    block = _attention(hidden) + 2 * _linear(hidden, wide) + _linear(wide, hidden) + 2 * hidden
    merge = vision["spatial_merge_size"]
    return ModelSize(
        text=_text(raw),
        vision=VisionShape(
            num_layers=layers,
            hidden=hidden,
            intermediate=wide,
            patch=vision["patch_size"],
            merge=merge,
            tower_parameters=_patches(vision, hidden) + layers * block,
            merger_parameters=_merger(hidden, merge, vision["out_hidden_size"], norm=hidden),
        ),
    )


def _qwen2_vl(raw: dict[str, Any]) -> ModelSize:
    vision = raw["vision_config"]
    layers, hidden = vision.get("depth", 32), vision.get("embed_dim", 1280)
    wide, merge = int(hidden * vision.get("mlp_ratio", 4)), vision.get("spatial_merge_size", 2)
    block = _attention(hidden) + _linear(hidden, wide) + _linear(wide, hidden) + 4 * hidden
    return ModelSize(
        text=_text(raw),
        vision=VisionShape(
            num_layers=layers,
            hidden=hidden,
            intermediate=wide,
            patch=vision.get("patch_size", 14),
            merge=merge,
            tower_parameters=_patches({"patch_size": 14} | vision, hidden) + layers * block,
            merger_parameters=_merger(hidden, merge, vision["hidden_size"], norm=2 * hidden),
        ),
    )


def _qwen3_vl(raw: dict[str, Any]) -> ModelSize:
    """One merger for the embeddings and one a level of DeepStack, whose norm comes after the patches are merged."""
    vision = raw["vision_config"]
    layers, hidden, wide = vision["depth"], vision["hidden_size"], vision["intermediate_size"]
    block = _attention(hidden) + _linear(hidden, wide) + _linear(wide, hidden) + 4 * hidden
    merge, out = vision["spatial_merge_size"], vision["out_hidden_size"]
    learned = (1 + vision["num_position_embeddings"]) * hidden  # the patches' bias, positions
    deep = _merger(hidden, merge, out, norm=2 * hidden * merge**2)
    return ModelSize(
        text=_text(raw, norms_heads=True),
        vision=VisionShape(
            num_layers=layers,
            hidden=hidden,
            intermediate=wide,
            patch=vision["patch_size"],
            merge=merge,
            tower_parameters=_patches(vision, hidden) + learned + layers * block,
            merger_parameters=_merger(hidden, merge, out, norm=2 * hidden)
            + len(vision["deepstack_visual_indexes"]) * deep,
        ),
    )


NO_VISION = VisionShape(
    num_layers=0,
    hidden=0,
    intermediate=0,
    patch=0,
    merge=0,
    tower_parameters=0,
    merger_parameters=0,
)


def _qwen2(raw: dict[str, Any]) -> ModelSize:
    return ModelSize(text=_text(raw), vision=NO_VISION)


def _qwen3(raw: dict[str, Any]) -> ModelSize:
    return ModelSize(text=_text(raw, norms_heads=True), vision=NO_VISION)


SIZES: dict[str, Callable[[dict[str, Any]], ModelSize]] = {  # `model_type` -> its arithmetic
    "qwen2_5_vl": _qwen2_5_vl,
    "qwen2_vl": _qwen2_vl,
    "qwen3_vl": _qwen3_vl,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
}
