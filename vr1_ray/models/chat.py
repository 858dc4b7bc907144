"""What any family gets from transformers' tokenizer, chat template and model classes: its file adds its pictures.

Prompts go through the model's own chat template, images through its own processor. The forward pass is transformers',
taken apart in one place: the vision tower runs once per different image of a micro-batch, and its features are handed
to every prompt of it that shows the image; a prompt stands once before all its responses.
"""

import hashlib
import inspect
from abc import abstractmethod
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

from vr1_ray.config import ModelConfig
from vr1_ray.models.base import (
    ModelAdapter,
    ModelBatch,
    RenderedPrompt,
    check_no_control_token,
    control_tokens,
)
from vr1_ray.models.image_rows import Level, check_placeholders, rows_shown
from vr1_ray.models.packed_attention import Packed
from vr1_ray.models.packed_positions import plain_positions
from vr1_ray.pictures import IMAGE_MARK, split_at_marks
from vr1_ray.types import EncodedImage, Prompt


class ChatAdapter(ModelAdapter):
    """A family with a chat template. To add one, derive from it:

        class MyVLAdapter(ChatAdapter):
            model_types = ("my_vl",)
            banned_tokens = ("<image>", "<image_start>")

            def num_image_tokens(self, image): ...        # from its size alone
            def image_inputs(self, images): ...           # opened images -> tensors of the vision tower
            def image_features(self, inner, vision): ...  # these tensors -> features of each image
            def vision_modules(self, model): ...

    `examples/custom_model/` has a whole one.
    """

    auto_model: ClassVar[Any] = AutoModelForImageTextToText
    banned_tokens: ClassVar[tuple[str, ...]] = ()  # of the tokenizer, that no response may hold
    end_tokens: ClassVar[tuple[str, ...]] = ("<|im_end|>", "<|endoftext|>")

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.model_config = AutoConfig.from_pretrained(config.path, **self._remote())
        self.processor = self.load_processor()
        self.tokenizer = getattr(self.processor, "tokenizer", self.processor)
        self.image_processor: Any = getattr(self.processor, "image_processor", None)
        self.saved_pixel_limits = _pixel_limits(getattr(self.image_processor, "size", None))
        self.image_token, self.image_id = self.image_placeholder()
        self._check_tokenizer()
        text_config = self.model_config.get_text_config()
        self.vocab_size = text_config.vocab_size
        self.max_positions = text_config.max_position_embeddings
        self.end_ids = self._end_ids()
        self.banned_ids = self._banned_ids()
        self.control_tokens = control_tokens(self.tokenizer)

    # What a family says of itself

    def load_processor(self) -> Any:
        """The family's processor, set to the config's limits where it has such."""
        return AutoProcessor.from_pretrained(self.config.path, **self._remote())

    def image_placeholder(self) -> tuple[str, int]:
        """Text and id of the token that stands for an image; ("", -1) for a family that sees none."""
        return self.processor.image_token, self.model_config.image_token_id

    @abstractmethod
    def num_image_tokens(self, image: EncodedImage) -> int:
        """Placeholders of an image in `prompt_ids`, from its size alone: pixels are not touched."""

    @abstractmethod
    def image_inputs(self, images: list[Image.Image]) -> dict[str, torch.Tensor]:
        """The vision tower's inputs, joined over images along the first axis; of an empty list, a smallest image's."""

    @abstractmethod
    def image_features(self, inner: Any, vision: dict[str, torch.Tensor]) -> list[Level]:
        """What the tower makes of each image, for the embeddings; then what deeper layers get, if any do.

        Submodules are called as modules: ZeRO-3 gathers in their hooks.
        """

    def image_ids(self, image: EncodedImage) -> list[int]:
        """What stands in `prompt_ids` where the template put one placeholder."""
        return [self.image_id] * self.num_image_tokens(image)

    def positions(self, inner: Any, batch: ModelBatch) -> torch.Tensor:
        """Positions of the packed sequence, as the language model takes them."""
        return plain_positions(batch)

    def language_inputs(
        self, is_image_T: torch.Tensor, deeper: list[torch.Tensor]
    ) -> dict[str, Any]:
        """More arguments for the language model; `deeper`: rows of the levels after the first, [images' tokens, hidden]."""
        return {}

    def content(self, parts: list[str]) -> Any:
        """A question cut at its image marks, as the chat template takes it."""
        found: list[dict[str, str]] = []
        for index, part in enumerate(parts):
            found += [{"type": "image"}] if index else []
            found += [{"type": "text", "text": part}] if part else []
        return found

    # Tokens

    def _check_tokenizer(self) -> None:
        """transformers makes an empty tokenizer of a folder that has none, without a word."""
        token = self.image_token or self.end_tokens[0]
        found = self.tokenizer.get_vocab().get(token)
        if found is None or (self.image_token and found != self.image_id):
            raise ValueError(
                f"its tokenizer of {len(self.tokenizer)} tokens lacks {token}: tokenizer.json is missing, or another model's"
            )

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
        found += [vocabulary.get(token) for token in self.end_tokens]
        return tuple(dict.fromkeys(token for token in found if token is not None))

    def _banned_ids(self) -> tuple[int, ...]:
        vocabulary = self.tokenizer.get_vocab()
        named = {vocabulary[token] for token in self.banned_tokens if token in vocabulary}
        unused_rows = range(len(self.tokenizer), self.vocab_size)
        return tuple(sorted({*named, *unused_rows, *([self.image_id] if self.image_token else [])}))

    def fingerprint(self) -> str:
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        kinds = [kind for kind in type(self).__mro__ if issubclass(kind, ModelAdapter)]
        try:
            code = [inspect.getsource(kind) for kind in kinds]
        except (OSError, TypeError):  # typed into a session
            return ""
        if backend is None:
            return ""
        scaling = self.image_processor.to_json_string() if self.image_processor else ""
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
        messages: list[dict[str, Any]] = [{"role": "user", "content": self.content(parts)}]
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
                f"write {IMAGE_MARK} where an image stands and nothing like {self.image_token}."
            )
        where = f"prompt {prompt.prompt_id}: the question"
        check_no_control_token("\n".join(parts), self.control_tokens, where)
        shown = iter([self.image_ids(image) for image in prompt.images])
        prompt_ids: list[int] = []
        for token in engine_ids:
            prompt_ids += next(shown) if token == self.image_id else [token]
        return RenderedPrompt(engine_ids=tuple(engine_ids), prompt_ids=tuple(prompt_ids))

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

    # Images and the model

    def open_images(self, images: tuple[EncodedImage, ...]) -> list[Image.Image]:
        return [image.decode(max_pixels=None) for image in images]  # checked when read

    def vision_inputs(
        self, images: Sequence[EncodedImage | Image.Image]
    ) -> dict[str, torch.Tensor]:
        return self.image_inputs(
            [
                image.decode(max_pixels=None) if isinstance(image, EncodedImage) else image
                for image in images
            ]
        )

    def plain_inputs(
        self, model: Any, prompt_ids: tuple[int, ...], images: Sequence[EncodedImage | Image.Image]
    ) -> dict[str, torch.Tensor]:
        ids = torch.tensor([prompt_ids])
        return {"input_ids": ids, **(self.vision_inputs(images) if images else {})}

    def engine_options(self) -> dict[str, Any]:
        return {**self._remote(), "tokenizer_revision": self.config.revision}

    def load_model(self, *, dtype: torch.dtype, attention: str) -> torch.nn.Module:
        model = self.auto_model.from_pretrained(
            self.config.path, dtype=dtype, attn_implementation=attention, **self._remote()
        )
        return model.train()

    def language_model(self, model: torch.nn.Module) -> torch.nn.Module:
        return model.model.language_model  # type: ignore[union-attr,return-value]

    def output_head(self, model: torch.nn.Module) -> torch.nn.Module:
        return model.lm_head  # type: ignore[return-value]

    def save_processor(self, folder: str) -> None:
        self.processor.save_pretrained(folder)

    def hidden_states(self, model: torch.nn.Module, batch: ModelBatch) -> torch.Tensor:
        inner: Any = model.model
        ids_T = batch.input_ids_T
        vision = {name: tensor.to(ids_T.device) for name, tensor in batch.vision.items()}
        levels = self.image_features(inner, vision)
        embeds: Any = inner.get_input_embeddings()(ids_T.unsqueeze(0))
        is_image_T = ids_T == self.image_id
        more: dict[str, Any] = {}
        if any(batch.image_index_G):
            check_placeholders(is_image_T, levels[0], batch)
            first, *deeper = rows_shown(levels, batch, embeds)
            embeds = embeds.masked_scatter(is_image_T[:, None], first)
            more = self.language_inputs(is_image_T, deeper)
        else:
            for level in levels:
                embeds = embeds + 0.0 * torch.cat(list(level)).to(embeds.dtype).sum()
        return self.language_model(model)(
            input_ids=None,
            inputs_embeds=embeds,
            attention_mask=None,
            position_ids=self.positions(inner, batch),
            use_cache=False,
            packed=Packed(batch.groups, ids_T.device),
            **more,
        ).last_hidden_state[0]


def _pixel_limits(size: Any) -> tuple[int, int] | None:
    """What the processor's `size` says in pixels; None where it says nothing."""
    found = dict(size or {})
    if not {"shortest_edge", "longest_edge"} <= found.keys():
        return None
    return int(found["shortest_edge"]), int(found["longest_edge"])
