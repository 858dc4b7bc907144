"""What must be known of one family of vision-language models: the `ModelAdapter`.

The adapter owns the processor, so engine and trainer see the same token ids and pixels, and it owns
the one list of banned ids, so a log-probability means the same on engine, trainer and reference.
It knows nothing of algorithms, rewards or Ray.

To add a family, write one file with an adapter and add its row to `vr1_ray/models/__init__.py`. One of transformers'
that has a chat template derives from `ChatAdapter` (`chat.py`) and needs four methods; in full:

    class MyVLAdapter(ModelAdapter):
        model_types = ("my_vl",)                         # `model_type` of its config.json

        def render(self, prompt): ...                    # text and images -> token ids, both forms
        def vision_inputs(self, images): ...             # encoded images -> tensors of the vision tower
        def load_model(self, dtype, attention): ...      # the transformers model, on CPU or meta
        def language_model(self, model): ...             # its part that attends to text and picture features
        def hidden_states(self, model, batch): ...       # last hidden states of the language model
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from vr1_ray.config import ModelConfig
from vr1_ray.models.packing import PackedGroup
from vr1_ray.types import EncodedImage, Prompt

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedPrompt:
    """A prompt as token ids, in the two forms that engine and trainer want.

    Example:
        RenderedPrompt(engine_ids=(1, 4, 8), prompt_ids=(1, 4, 4, 4, 4, 8))  # 4 is the image placeholder
    """

    engine_ids: tuple[int, ...]  # ONE placeholder per image: the engine expands it itself
    prompt_ids: tuple[int, ...]  # expanded: one placeholder per merged vision token


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelBatch:
    """One packed micro-batch, as the adapter's forward wants it: a single sequence of groups, without padding.

    The vision tensors hold each DIFFERENT image of the batch once; `image_index_G` says, per group and in
    the order of its placeholders, which of them its prompt shows. So the vision tower runs once per image and
    not once per rollout of a group.

    Example:
        ModelBatch(input_ids_T=torch.tensor([7, 8, 5, 5, 6]), groups=lay_out([(2, [1, 2])]), image_index_G=[[]],
                   vision=adapter.vision_inputs([]))  # prompt 7 8, responses 5 and 5 6
    """

    input_ids_T: "torch.Tensor"  # [T] long
    groups: tuple[PackedGroup, ...]  # they cover the sequence, in its order
    image_index_G: list[list[int]]  # per group: indices into the images of `vision`
    vision: dict[
        str, "torch.Tensor"
    ]  # the vision tower's inputs by keyword; never empty (dummy image)


class ModelAdapter(ABC):
    """One family of models. Constructing it loads the processor only."""

    model_types: ClassVar[tuple[str, ...]]

    banned_ids: tuple[int, ...]  # never sampled, no probability mass: placeholders and unused rows
    end_ids: tuple[int, ...]  # a response that ends with one of these is finished
    control_tokens: tuple[str, ...] = ()  # texts that no question may hold
    vocab_size: int  # rows of the output head
    max_positions: int  # prompt and response tokens that the model was made for
    saved_pixel_limits: (
        tuple[int, int] | None
    )  # (least, most) that the folder's processor was saved with

    def __init__(self, config: ModelConfig) -> None:
        self.config = config

    def fingerprint(self) -> str:
        """What the number of a row's tokens depends on, hashed; "" counts them at each start."""
        return ""

    @abstractmethod
    def render(self, prompt: Prompt) -> RenderedPrompt:
        """Token ids of a prompt, ending where the response starts.

        Raises ValueError, naming the prompt, if `<image>` marks and images do not match.
        """

    @abstractmethod
    def encode_response(self, text: str) -> tuple[int, ...]:
        """Token ids of a written response, with the end token: what the policy learns in cold start."""

    @abstractmethod
    def decode(self, response_ids: tuple[int, ...]) -> str:
        """Text of a response, without the end token."""

    @abstractmethod
    def open_images(self, images: tuple[EncodedImage, ...]) -> list[Any]:
        """PIL images (RGB) in the form the engine takes. The adapter scales them exactly as for the trainer."""

    @abstractmethod
    def vision_inputs(self, images: Sequence[EncodedImage | Any]) -> dict[str, "torch.Tensor"]:
        """The vision tower's inputs for these images, encoded or opened; a dummy image for an empty list."""

    @abstractmethod
    def plain_inputs(
        self,
        model: "torch.nn.Module",
        prompt_ids: tuple[int, ...],
        images: Sequence[EncodedImage | Any],
    ) -> dict[str, "torch.Tensor"]:
        """What the transformers model itself takes of one prompt, alone and unpacked: `model(**plain_inputs)`.

        Raises ValueError if placeholders and images don't match.
        """

    @abstractmethod
    def engine_options(self) -> dict[str, Any]:
        """Keyword arguments the vLLM engine needs for this family (processor scaling and the like)."""

    @abstractmethod
    def load_model(self, *, dtype: "torch.dtype", attention: str) -> "torch.nn.Module":
        """The transformers model with its trained weights, in train mode."""

    @abstractmethod
    def language_model(self, model: "torch.nn.Module") -> "torch.nn.Module":
        """The transformers model inside that runs over embeddings: the one whose attention packing changes."""

    @abstractmethod
    def hidden_states(self, model: "torch.nn.Module", batch: ModelBatch) -> "torch.Tensor":
        """Last hidden states of the language model, [T, hidden]; the vision tower runs once per image.

        A response's positions go on from its prompt's last one, whatever stands between them in the sequence. What a
        token sees travels as `packed` to `packed_attention.py`, which `use_packed_attention` has set.

        Batches without an image still touch the vision tower (weight zero), so that no rank of a sharded
        run skips a gather that another one waits in.
        """

    @abstractmethod
    def output_head(self, model: "torch.nn.Module") -> "torch.nn.Module":
        """The module that maps hidden states to logits."""

    @abstractmethod
    def vision_modules(
        self, model: "torch.nn.Module"
    ) -> tuple["torch.nn.Module", "torch.nn.Module"]:
        """(vision tower without its projector's parameters, projector): what `freeze_*` freezes."""

    @abstractmethod
    def save_processor(self, folder: str) -> None:
        """Write tokenizer, processor and chat template, so the folder loads in plain transformers."""


# What a vocabulary may add without calling it special, as Qwen's does. `<think>` and its kin are words of a response.
_MARKUP = re.compile(r"<\|.+\|>|</?tools?(?:_\w+)?>")


def control_tokens(tokenizer: Any) -> tuple[str, ...]:
    """The texts that a tokenizer of transformers reads as one control token, which no question may hold."""
    added = tokenizer.added_tokens_decoder.values()
    return tuple(
        token.content for token in added if token.special or _MARKUP.fullmatch(token.content)
    )


def check_no_control_token(text: str, tokens: Sequence[str], where: str) -> None:
    """Raise ValueError for a text that would be read as more than a text; `where` says what holds it."""
    found = next((token for token in tokens if token in text), None)
    if found is not None:
        raise ValueError(
            f"{where} holds {found!r}, a control token of this model, which may end the turn; take it out, or write it "
            "with a space inside."
        )
