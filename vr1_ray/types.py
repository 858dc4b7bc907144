"""What flows through a run: the records that every floor shares.

Plain Python and bytes only: this module imports neither torch nor ray, so a record can be printed,
pickled, written to JSON and built by hand in a test. Tensors are born in `training/batch.py`.

Shape legend, used in names everywhere: `_P` prompts, `_G` rollouts of one group, `_B` rows of a
batch, `_T` tokens, `_V` vocabulary.
"""

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from vr1_ray.encoded_image import EncodedImage as EncodedImage
from vr1_ray.pictures import MAX_PIXELS

if TYPE_CHECKING:
    from PIL import Image

RolloutStatus = Literal["finished", "truncated", "aborted", "invalid"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """A question with its images and reference answer, before any response.

    `question` holds one `<image>` mark per image, where the image stands in the text; `\\<image>` is a text.

    Example:
        Prompt(prompt_id="9f0c", question="<image>How many red circles are there?",
               images=(EncodedImage.from_bytes(png),), answer="3", metadata={"family": "count"})
    """

    prompt_id: str  # stable across runs: content hash of question, images and answer
    question: str
    images: tuple[EncodedImage, ...] = ()
    answer: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Demonstration:
    """One prompt with a worked response, for the cold start.

    Example:
        Demonstration(prompt=prompt, response="<think> ... </think><answer> Final Answer:3 </answer>")
    """

    prompt: Prompt  # its answer is what the response answers
    response: str
    reference: str = ""  # the right answer, where the row has one beside the response
    source: str = ""  # where it stands, for messages: file and row


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingSpec:
    """How responses to one prompt are sampled. It travels with each call; engines hold no such state.

    Example:
        SamplingSpec(max_response_tokens=96, group_size=16)
        SamplingSpec(max_response_tokens=192, group_size=1, temperature=0.0)  # greedy
    """

    max_response_tokens: int
    group_size: int
    temperature: float = 1.0  # 0 is greedy
    top_p: float = 1.0
    stop_texts: tuple[
        str, ...
    ] = ()  # a response ends behind the first of them too; not in training


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A span of steps with one response budget and one group size (Vision-R1, section 3.5, PTST).

    `number` counts from 1; 0 is kept for calls outside any curriculum (evaluation).

    Example:
        Stage(number=1, max_response_tokens=4096, group_size=16, steps=100)
    """

    number: int
    max_response_tokens: int
    group_size: int
    steps: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenSpan:
    """Tokens [start, end) of a response were sampled by policy version `policy_version`."""

    policy_version: int
    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """One response with all that is known of it. A stage of the flow only fills fields.

    The three log-probabilities are named by who computed them: the engine when sampling, the trainer
    before the step's first update, the reference policy. Each has one entry per response token.

    Example:
        Rollout(index=0, attempt=0, seed=7, status="finished", response_ids=(5, 9, 2), text="...")
    """

    index: int  # place in its group, 0-based
    attempt: int  # 0, then one more each time this sample is drawn again
    seed: int
    status: RolloutStatus
    response_ids: tuple[int, ...]  # [T], with the end token if the response finished
    text: str
    rollout_logprobs: tuple[float, ...] | None = None  # [T]
    policy_logprobs: tuple[float, ...] | None = None  # [T]
    ref_logprobs: tuple[float, ...] | None = None  # [T]
    version_spans: tuple[TokenSpan, ...] = ()
    reward: float | None = None
    reward_parts: dict[str, float] = field(default_factory=dict)
    advantage: float | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the response ended by itself, inside the response budget."""
        return self.status == "finished"

    @property
    def num_tokens(self) -> int:
        return len(self.response_ids)


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutGroup:
    """The rollouts of one prompt in one step. Groups of one batch may differ in size.

    `prompt_ids` are the prompt's token ids as both engine and trainer see them: image placeholders
    expanded to one id per merged vision token.

    Example:
        RolloutGroup(prompt=prompt, step=3, stage=stage, policy_version=2, prompt_ids=(1, 4, 4, 8),
                     rollouts=(first, second))
    """

    prompt: Prompt
    step: int
    stage: Stage
    policy_version: int
    prompt_ids: tuple[int, ...]
    rollouts: tuple[Rollout, ...]
    generate_seconds: float = 0.0
    reward_seconds: float = 0.0

    @property
    def rewards_G(self) -> list[float]:
        """The rewards of the group, in order. Raises ValueError for a rollout not scored yet."""
        missing = [rollout.index for rollout in self.rollouts if rollout.reward is None]
        if missing:
            raise ValueError(
                f"prompt {self.prompt.prompt_id}: rollouts {missing} have no reward yet"
            )
        return [rollout.reward for rollout in self.rollouts if rollout.reward is not None]

    def with_rollouts(self, rollouts: list[Rollout]) -> "RolloutGroup":
        return replace(self, rollouts=tuple(rollouts))


@dataclass(frozen=True, kw_only=True, slots=True)
class RewardInput:
    """Everything known of a rollout, as a reward sees it. `prompt` and `rollout` hold what is not named here.

    Example:
        RewardInput(prompt=prompt, response=rollout.text, finished=True, rollout=rollout, stage=stage, step=3)
    """

    prompt: Prompt
    response: str
    finished: bool  # ended by itself inside the budget
    rollout: Rollout
    stage: Stage  # the one it was sampled under: `stage.max_response_tokens` is its budget
    step: int

    @property
    def question(self) -> str:
        """The prompt's text, with one `<image>` mark where each image stands."""
        return self.prompt.question

    @property
    def answer(self) -> str:
        """The reference answer."""
        return self.prompt.answer

    @property
    def metadata(self) -> dict[str, Any]:
        """The other columns of the prompt's row in the dataset."""
        return self.prompt.metadata

    @property
    def num_tokens(self) -> int:
        """Tokens of the response, the end token included."""
        return self.rollout.num_tokens

    @property
    def finish_reason(self) -> RolloutStatus:
        """Why sampling ended: "finished" by itself, or "truncated" by the budget."""
        return self.rollout.status

    def images(self, max_pixels: int = MAX_PIXELS) -> "list[Image.Image]":
        """The prompt's images, decoded anew at each call, RGB. Raises ValueError for one that can't be."""
        return [image.decode(max_pixels) for image in self.prompt.images]


@dataclass(frozen=True, kw_only=True, slots=True)
class RewardOutput:
    """A scalar reward with its named parts. The parts are for metrics, not for the policy.

    Example:
        RewardOutput(value=1.0, parts={"format": 1.0, "accuracy": 1.0})
    """

    value: float
    parts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainRow:
    """One sequence to learn from: prompt, response and what the algorithm says of the response.

    Made from a `Rollout` (GRPO) or from a `Demonstration` (cold start). `image_hashes` point into the
    images that travel beside the rows, each once. `weight` 0 marks a filler row: it keeps every rank
    at the same number of micro-batches and adds nothing to loss or gradient.

    Example:
        TrainRow(row_id="9f0c/0", prompt_ids=(1, 4), response_ids=(5, 2), image_hashes=(), advantage=0.5)
    """

    row_id: str  # prompt id / rollout index, for error messages
    prompt_ids: tuple[int, ...]
    response_ids: tuple[int, ...]
    image_hashes: tuple[str, ...]
    advantage: float = 0.0
    rollout_logprobs: tuple[float, ...] | None = None
    ref_logprobs: tuple[float, ...] | None = None
    temperature: float = 1.0
    weight: float = 1.0


def held_here(prompt: Prompt) -> Prompt:
    """The prompt with the bytes of its pictures, for a node that does not see their files. Raises ValueError."""
    if all(image.source is None for image in prompt.images):
        return prompt
    return replace(prompt, images=tuple(image.held_here() for image in prompt.images))


def sample_seed(*, run_seed: int, step: int, prompt_id: str, index: int, attempt: int) -> int:
    """The seed of one sample, from what it IS: never from order, engine or time.

    One sample of a group can so be drawn again alone and comes out the same. 31 bits, not negative.
    """
    key = f"{run_seed}/{step}/{prompt_id}/{index}/{attempt}"
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") >> 1
