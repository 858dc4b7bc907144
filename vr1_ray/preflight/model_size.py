"""The shape of a model from its config.json alone: parameters, KV cache per token. No weights are read.

The formulas are those of the Qwen2.5-VL family (a decoder with grouped KV heads and a gated MLP, a vision
tower with a gated MLP and a two-layer merger). Another family gets its own `from_config` and a row in
SIZES, beside its adapter's row in `vr1_ray/models`.
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

    @property
    def num_parameters(self) -> int:
        """Embeddings, layers (q, k and v have biases), final norm, head."""
        queries, keys = self.num_heads * self.head_dim, self.num_kv_heads * self.head_dim
        attention = self.hidden * (2 * queries + 2 * keys) + queries + 2 * keys
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
    out: int  # the language model's hidden size
    patch: int  # pixels
    merge: int  # patches a side of one vision token
    temporal_patch: int

    @property
    def merger_parameters(self) -> int:
        merged = self.hidden * self.merge**2
        return self.hidden + merged * (merged + 1) + (merged + 1) * self.out

    @property
    def tower_parameters(self) -> int:
        """Patch embedding and blocks, without the merger."""
        patches = 3 * self.temporal_patch * self.patch**2 * self.hidden
        attention = 4 * self.hidden * (self.hidden + 1)
        mlp = 3 * self.hidden * self.intermediate + 2 * self.intermediate + self.hidden
        return patches + self.num_layers * (attention + mlp + 2 * self.hidden)

    @property
    def pixels_per_token(self) -> int:
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
        return _qwen2_5_vl(published)
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


def _qwen2_5_vl(raw: dict[str, Any]) -> ModelSize:
    """Both layouts: the text settings in `text_config` (transformers 5), or at the top (as published)."""
    text, vision = raw.get("text_config", raw), raw["vision_config"]
    hidden, heads = text["hidden_size"], text["num_attention_heads"]
    return ModelSize(
        text=TextShape(
            num_layers=text["num_hidden_layers"],
            hidden=hidden,
            intermediate=text["intermediate_size"],
            num_heads=heads,
            num_kv_heads=text["num_key_value_heads"],
            head_dim=text.get("head_dim") or hidden // heads,
            vocab=text["vocab_size"],
            is_tied=bool(raw.get("tie_word_embeddings", text.get("tie_word_embeddings", False))),
        ),
        vision=VisionShape(
            num_layers=vision["depth"],
            hidden=vision["hidden_size"],
            intermediate=vision["intermediate_size"],
            out=vision["out_hidden_size"],
            patch=vision["patch_size"],
            merge=vision["spatial_merge_size"],
            temporal_patch=vision.get("temporal_patch_size", 2),
        ),
    )


SIZES: dict[str, Callable[[dict[str, Any]], ModelSize]] = {  # `model_type` -> its arithmetic
    "qwen2_5_vl": _qwen2_5_vl,
}
