"""Qwen2.5-VL: rendering, vision inputs and the shared-image forward pass.

Prompts go through the model's own chat template. Images are scaled by the model's own processor, with
the config's `min_pixels` and `max_pixels`. The forward pass is transformers', taken apart in one place:
the vision tower runs once per different image of a micro-batch, and its features are handed to every prompt of it
that shows the image; a prompt stands once before all its responses.
"""

import hashlib
import inspect
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from PIL import Image
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    GenerationConfig,
    __version__,
)
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from vr1_ray.config import ModelConfig
from vr1_ray.models.base import (
    ModelAdapter,
    ModelBatch,
    RenderedPrompt,
    check_no_control_token,
    control_tokens,
)
from vr1_ray.models.packed_attention import Packed
from vr1_ray.models.packed_positions import packed_positions
from vr1_ray.pictures import IMAGE_MARK, split_at_marks
from vr1_ray.types import EncodedImage, Prompt

BANNED_TOKENS = (
    "<|image_pad|>",
    "<|video_pad|>",
    "<|vision_pad|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|im_start|>",
)


class Qwen25VLAdapter(ModelAdapter):
    """The adapter of Qwen2.5-VL models of any size.

    Example:
        adapter = Qwen25VLAdapter(ModelConfig(path="Qwen/Qwen2.5-VL-7B-Instruct"))
        adapter.render(prompt).prompt_ids
    """

    model_types: ClassVar[tuple[str, ...]] = ("qwen2_5_vl",)

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        remote = self._remote()
        self.model_config = AutoConfig.from_pretrained(config.path, **remote)
        self.processor = AutoProcessor.from_pretrained(config.path, **remote)
        self.tokenizer = self.processor.tokenizer
        self.image_processor = self.processor.image_processor
        self.saved_pixel_limits = _pixel_limits(self.image_processor.size)
        self.image_processor.size = {
            "shortest_edge": config.min_pixels,
            "longest_edge": config.max_pixels,
        }
        self.image_id: int = self.model_config.image_token_id
        self.image_token: str = self.processor.image_token
        if self.tokenizer.convert_tokens_to_ids(self.image_token) != self.image_id:
            # transformers makes an empty tokenizer of a folder that has none, without a word.
            raise ValueError(
                f"its tokenizer of {len(self.tokenizer)} tokens lacks {self.image_token}: tokenizer.json is missing, or "
                "another model's"
            )
        self.vocab_size = self.model_config.text_config.vocab_size
        self.max_positions = self.model_config.text_config.max_position_embeddings
        self.end_ids = self._end_ids()
        self.banned_ids = self._banned_ids()
        self.control_tokens = control_tokens(self.tokenizer)

    def _remote(self) -> dict[str, Any]:
        """Where `from_pretrained` may look beside the path."""
        revision = {"revision": self.config.revision} if self.config.revision else {}
        return {"trust_remote_code": self.config.trust_remote_code, **revision}

    def _end_ids(self) -> tuple[int, ...]:
        """The tokenizer's end token first (it ends a written response), then all others that end one."""
        found = [self.tokenizer.eos_token_id]
        try:
            eos = GenerationConfig.from_pretrained(self.config.path, **self._remote()).eos_token_id
        except OSError:  # the file is optional
            eos = None
        found += eos if isinstance(eos, list) else [eos]
        vocabulary = self.tokenizer.get_vocab()
        found += [vocabulary.get("<|im_end|>"), vocabulary.get("<|endoftext|>")]
        return tuple(dict.fromkeys(token for token in found if token is not None))

    def _banned_ids(self) -> tuple[int, ...]:
        vocabulary = self.tokenizer.get_vocab()
        named = {vocabulary[token] for token in BANNED_TOKENS if token in vocabulary}
        unused_rows = range(len(self.tokenizer), self.vocab_size)
        return tuple(sorted({*named, self.image_id, *unused_rows}))

    def fingerprint(self) -> str:
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        kinds = [kind for kind in type(self).__mro__ if issubclass(kind, ModelAdapter)]
        try:
            code = [inspect.getsource(kind) for kind in kinds]
        except (OSError, TypeError):  # typed into a session
            return ""
        if backend is None:
            return ""
        scaling = (self.image_processor.patch_size, self.image_processor.merge_size)
        limits = (self.config.min_pixels, self.config.max_pixels)
        shown = (self.config.system_prompt, self.processor.chat_template, self.banned_ids)
        parts = (code, __version__, scaling, limits, shown, backend.to_str())
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    def render(self, prompt: Prompt) -> RenderedPrompt:
        parts = split_at_marks(prompt.question)
        if len(parts) - 1 != len(prompt.images):
            raise ValueError(
                f"prompt {prompt.prompt_id}: {len(parts) - 1} {IMAGE_MARK} marks but {len(prompt.images)} "
                "images; the question needs one mark per image, where the image stands."
            )
        content: list[dict[str, str]] = []
        for index, part in enumerate(parts):
            if index:
                content.append({"type": "image"})
            if part:
                content.append({"type": "text", "text": part})
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if self.config.system_prompt is not None:
            messages.insert(0, {"role": "system", "content": self.config.system_prompt})
        text = self.processor.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        engine_ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        found = engine_ids.count(self.image_id)
        if found != len(prompt.images):
            if not any(self.image_token in part for part in parts):
                raise ValueError(
                    f"prompt {prompt.prompt_id}: the chat template of model.path={self.config.path!r} makes {found} image "
                    f"placeholders of {len(prompt.images)} images; put back the chat_template.jinja the model came with."
                )
            raise ValueError(
                f"prompt {prompt.prompt_id}: the question holds the model's own image placeholder as text; "
                f"write {IMAGE_MARK} where an image stands and nothing like <|image_pad|>."
            )
        where = f"prompt {prompt.prompt_id}: the question"
        check_no_control_token("\n".join(parts), self.control_tokens, where)
        counts = iter([self._num_image_tokens(image) for image in prompt.images])
        prompt_ids: list[int] = []
        for token in engine_ids:
            prompt_ids += [token] * (next(counts) if token == self.image_id else 1)
        return RenderedPrompt(engine_ids=tuple(engine_ids), prompt_ids=tuple(prompt_ids))

    def _num_image_tokens(self, image: EncodedImage) -> int:
        """Merged vision tokens of an image, from its size alone: pixels are not touched."""
        width, height = image.shown_size()
        factor = self.image_processor.patch_size * self.image_processor.merge_size
        new_height, new_width = smart_resize(
            height,
            width,
            factor=factor,
            min_pixels=self.config.min_pixels,
            max_pixels=self.config.max_pixels,
        )
        return (new_height // factor) * (new_width // factor)

    def encode_response(self, text: str) -> tuple[int, ...]:
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        refused = sorted(set(ids) & set(self.banned_ids))
        if refused:
            names = [self.tokenizer.convert_ids_to_tokens(token) for token in refused]
            raise ValueError(
                f"response {text[:80]!r}: holds {names}, which no response may contain; remove the row or them."
            )
        return (*ids, self.end_ids[0])

    def decode(self, response_ids: tuple[int, ...]) -> str:
        if response_ids and response_ids[-1] in self.end_ids:
            response_ids = response_ids[:-1]
        return self.tokenizer.decode(
            list(response_ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )

    def open_images(self, images: tuple[EncodedImage, ...]) -> list[Image.Image]:
        return [image.decode(max_pixels=None) for image in images]  # checked when read

    def vision_inputs(
        self, images: Sequence[EncodedImage | Image.Image]
    ) -> dict[str, torch.Tensor]:
        opened = [
            image.decode(max_pixels=None) if isinstance(image, EncodedImage) else image
            for image in images
        ]
        if not opened:  # the smallest the tower takes: one merged vision token
            side = self.image_processor.patch_size * self.image_processor.merge_size
            opened = [Image.new("RGB", (side, side))]
        size = (
            dict(self.image_processor.size)
            if images
            else {"shortest_edge": 1, "longest_edge": 4096}
        )
        inputs = self.image_processor(images=opened, size=size, return_tensors="pt")
        return {
            "pixel_values": inputs["pixel_values"],
            "image_grid_thw": inputs["image_grid_thw"],
        }

    def engine_options(self) -> dict[str, Any]:
        return {
            "mm_processor_kwargs": {"size": dict(self.image_processor.size)},
            **self._remote(),
            "tokenizer_revision": self.config.revision,
        }

    def load_model(self, *, dtype: torch.dtype, attention: str) -> torch.nn.Module:
        model = AutoModelForImageTextToText.from_pretrained(
            self.config.path,
            dtype=dtype,
            attn_implementation=attention,
            **self._remote(),
        )
        return model.train()

    def language_model(self, model: torch.nn.Module) -> torch.nn.Module:
        return model.model.language_model  # type: ignore[union-attr,return-value]

    def hidden_states(self, model: torch.nn.Module, batch: ModelBatch) -> torch.Tensor:
        inner: Any = model.model  # submodules are called as modules: ZeRO-3 gathers in their hooks
        ids_T = batch.input_ids_T
        grids = batch.vision["image_grid_thw"].to(ids_T.device)
        features = inner.get_image_features(
            batch.vision["pixel_values"].to(ids_T.device), grids, return_dict=True
        ).pooler_output
        embeds = inner.get_input_embeddings()(ids_T.unsqueeze(0))
        shown = [index for group in batch.image_index_G for index in group]
        is_image_T = ids_T == self.image_id
        if shown:
            source = _feature_rows(features, shown, ids_T.device)
            self._check_placeholders(is_image_T, features, batch)
            rows = torch.cat(list(features)).to(embeds.dtype).index_select(0, source)
            embeds = embeds.masked_scatter(is_image_T[:, None], rows)
        else:
            embeds = embeds + 0.0 * torch.cat(list(features)).to(embeds.dtype).sum()
        return inner.language_model(
            input_ids=None,
            inputs_embeds=embeds,
            attention_mask=None,
            position_ids=packed_positions(
                inner.get_rope_index, batch, self.image_id, grids[shown] if shown else None
            ),
            use_cache=False,
            packed=Packed(batch.groups, ids_T.device),
        ).last_hidden_state[0]

    def _check_placeholders(
        self, is_image_T: torch.Tensor, features: Any, batch: ModelBatch
    ) -> None:
        for place, (group, shown) in enumerate(zip(batch.groups, batch.image_index_G, strict=True)):
            wanted = sum(len(features[index]) for index in shown)
            found = int(is_image_T[group.start : group.end].sum())
            if wanted != found:
                raise ValueError(
                    f"group {place}: {found} image placeholders but {wanted} vision tokens of its images {shown}"
                )

    def output_head(self, model: torch.nn.Module) -> torch.nn.Module:
        return model.lm_head  # type: ignore[return-value]

    def vision_modules(self, model: torch.nn.Module) -> tuple[torch.nn.Module, torch.nn.Module]:
        visual: Any = model.model.visual  # type: ignore[union-attr]
        return torch.nn.ModuleList([visual.patch_embed, visual.blocks]), visual.merger

    def save_processor(self, folder: str) -> None:
        self.processor.save_pretrained(folder)


def _feature_rows(features: Any, shown: list[int], device: torch.device) -> torch.Tensor:
    """Rows of the concatenated features, in the order the batch's placeholders show them."""
    lengths = [len(feature) for feature in features]
    starts = [sum(lengths[:index]) for index in range(len(lengths))]
    return torch.cat(
        [torch.arange(starts[i], starts[i] + lengths[i], device=device) for i in shown]
    )


def _pixel_limits(size: Any) -> tuple[int, int] | None:
    """What the processor's `size` says in pixels; None where it says nothing."""
    found = dict(size or {})
    if not {"shortest_edge", "longest_edge"} <= found.keys():
        return None
    return int(found["shortest_edge"]), int(found["longest_edge"])
