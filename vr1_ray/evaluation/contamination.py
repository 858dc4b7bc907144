"""What training data and benchmarks share: the same or nearly the same pictures, questions, or both.

Pictures: the same bytes; else a perceptual hash of 1,024 bits (which neighbours of a 17 x 17 thumbnail are clearly brighter
or darker), compared by the share of its set bits that agree, so that a resized or re-encoded copy is found and
empty paper alike in two drawings counts for nothing. Questions: normalised text; else the share of word 3-grams.
A question with its picture is what counts: "Find x." alone is no leak.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from vr1_ray.pictures import open_picture
from vr1_ray.types import EncodedImage, Prompt

SIDE = 16
MARGIN = 6  # grey levels of 255: less is noise of the encoding
MIN_BITS = 12  # a picture with fewer edges is told by its bytes alone
# Share of set bits that agree. Over 27 pictures: JPEG, grey and doubled copies 0.90 and more, copies at 70 % of the
# size 0.92 in the mean (0.72 the least); of 80 figures drawn by the same code 7 % have a neighbour above this.
NEAR_IMAGE = 0.8
NEAR_QUESTION = 0.8  # share of word 3-grams that agree
MIN_WORDS = 4  # a shorter question is told by its picture alone
BLOCK = 2048
_NOISE = re.compile(r"<image\d*>|\bhint:[^\n]*|[^\w\s]", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Leak:
    """One question of a benchmark that training data holds too.

    Example:
        Leak(question_id="225", prompt_id="9f0c...", image="same", question="near")
    """

    question_id: str
    prompt_id: str  # of the training prompt that is most like it
    image: str  # "same", "near" or ""
    question: str  # "same", "near" or ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contamination:
    """What one benchmark shares with training data."""

    name: str
    num_questions: int
    leaks: tuple[Leak, ...]

    def count(self, *, image: bool, question: bool) -> int:
        """Questions whose picture, text, or both training data holds (the same or nearly)."""
        return sum(
            (bool(leak.image) or not image) and (bool(leak.question) or not question)
            for leak in self.leaks
        )

    def line(self) -> str:
        """One line for `vr1 check`."""
        both = self.count(image=True, question=True)
        counts = Counter((leak.image, leak.question) for leak in self.leaks)
        exact = counts["same", "same"]
        return (
            f"contamination: {self.name}: {both} of {self.num_questions} questions are in the training data with "
            f"their picture ({exact} to the letter), {self.count(image=True, question=False) - both} more with the "
            f"picture alone, {self.count(image=False, question=True) - both} with the words alone"
        )


class TrainingIndex:
    """What of training data is compared; build it once for all benchmarks.

    Example:
        TrainingIndex(prompts).compare("mathvision", [(q.question_id, q.prompt) for q in questions]).line()
    """

    def __init__(self, prompts: Iterable[Prompt]) -> None:
        self.prompts = list(prompts)
        self.hashes = Hashes()
        self.by_image: dict[str, list[int]] = defaultdict(list)
        self.by_text: dict[str, list[int]] = defaultdict(list)
        self.grams: list[frozenset[str]] = []
        for number, prompt in enumerate(self.prompts):
            text = normalised(prompt.question)
            self.by_text[text].append(number)
            self.grams.append(grams_of(text))
            for image in prompt.images:
                self.by_image[image.content_hash].append(number)
        images = {image.content_hash: image for one in self.prompts for image in one.images}
        self.names = list(images)
        self.bits = self.hashes.of([images[name] for name in self.names])

    def compare(self, name: str, questions: Sequence[tuple[str, Prompt]]) -> Contamination:
        """The questions of a benchmark, (id, prompt) each, against all of the training data."""
        near_images = self._near_images([prompt for _, prompt in questions])
        near_texts = self._near_texts([normalised(prompt.question) for _, prompt in questions])
        leaks = []
        for place, (question_id, prompt) in enumerate(questions):
            found = self._leak(question_id, prompt, near_images[place], near_texts[place])
            if found is not None:
                leaks.append(found)
        return Contamination(name=name, num_questions=len(questions), leaks=tuple(leaks))

    def _leak(
        self, question_id: str, prompt: Prompt, near_images: set[str], near_texts: set[int]
    ) -> Leak | None:
        """The training prompt that has most of this question."""
        same_image = {
            n for image in prompt.images for n in self.by_image.get(image.content_hash, ())
        }
        near_image = {number for name in near_images for number in self.by_image[name]} - same_image
        same_text = set(self.by_text.get(normalised(prompt.question), ()))
        found = same_image | near_image | same_text | near_texts
        if not found:
            return None

        def kinds(number: int) -> tuple[str, str]:
            image = "same" if number in same_image else "near" if number in near_image else ""
            text = "same" if number in same_text else "near" if number in near_texts else ""
            return image, text

        def rank(number: int) -> tuple[bool, int, int]:
            image, text = kinds(number)
            return bool(image and text), (image == "same") + (text == "same"), -number

        best = max(found, key=rank)
        image, text = kinds(best)
        return Leak(
            question_id=question_id,
            prompt_id=self.prompts[best].prompt_id,
            image=image,
            question=text,
        )

    def _near_images(self, prompts: Sequence[Prompt]) -> list[set[str]]:
        """Per prompt, the training images that look like one of its own."""
        owners = [place for place, prompt in enumerate(prompts) for _ in prompt.images]
        bits = self.hashes.of([image for prompt in prompts for image in prompt.images])
        found: list[set[str]] = [set() for _ in prompts]
        if not len(bits) or not len(self.bits):
            return found
        for start in range(0, len(bits), BLOCK):
            for row, column in _similar_pairs(bits[start : start + BLOCK], self.bits):
                found[owners[start + row]].add(self.names[column])
        return found

    def _near_texts(self, texts: Sequence[str]) -> list[set[int]]:
        """Per text, the training prompts whose word 3-grams are nearly the same set."""
        wanted = [grams_of(text) for text in texts]
        holders: dict[str, list[int]] = defaultdict(list)
        for place, grams in enumerate(wanted):
            for gram in grams:
                holders[gram].append(place)
        found: list[set[int]] = [set() for _ in texts]
        for number, grams in enumerate(self.grams):
            shared = Counter(place for gram in grams for place in holders.get(gram, ()))
            for place, count in shared.items():
                if count >= NEAR_QUESTION * (len(grams) + len(wanted[place]) - count):
                    found[place].add(number)
        return found


def _similar_pairs(left: np.ndarray, right: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of rows whose set bits agree in a share of at least NEAR_IMAGE (intersection over union)."""
    pairs: list[tuple[int, int]] = []
    left_counts = left.sum(axis=1, dtype=np.float32)
    for start in range(0, len(right), BLOCK):
        part = right[start : start + BLOCK]
        shared = left.astype(np.float32) @ part.astype(np.float32).T
        counts = part.sum(axis=1, dtype=np.float32)
        union = left_counts[:, None] + counts[None, :] - shared
        has_edges = (left_counts[:, None] >= MIN_BITS) & (counts[None, :] >= MIN_BITS)
        rows, columns = np.nonzero(has_edges & (shared >= NEAR_IMAGE * union))
        pairs += [(int(r), int(c) + start) for r, c in zip(rows, columns, strict=True)]
    return pairs


class Hashes:
    """Perceptual hashes, each different picture's computed once."""

    def __init__(self) -> None:
        self._known: dict[str, np.ndarray] = {}

    def of(self, images: Sequence[EncodedImage]) -> np.ndarray:
        """[number of images, 4 * SIDE * SIDE] booleans."""
        for image in images:
            if image.content_hash not in self._known:
                self._known[image.content_hash] = perceptual_hash(image)
        if not images:
            return np.zeros((0, 4 * SIDE * SIDE), dtype=bool)
        return np.stack([self._known[image.content_hash] for image in images])


def perceptual_hash(image: EncodedImage) -> np.ndarray:
    """Which neighbours, to the right and below, are clearly brighter or darker: 4 * SIDE * SIDE booleans."""
    from PIL import Image

    quick = open_picture(image.data, max_pixels=None, least_side=8 * SIDE)
    small = quick.convert("L").resize((SIDE + 1, SIDE + 1), Image.Resampling.BOX)
    levels = np.asarray(small, dtype=np.int16)
    right = levels[:-1, 1:] - levels[:-1, :-1]
    below = levels[1:, :-1] - levels[:-1, :-1]
    bits = [right > MARGIN, right < -MARGIN, below > MARGIN, below < -MARGIN]
    return np.concatenate([part.ravel() for part in bits])


def normalised(question: str) -> str:
    """Words alone, in lower case."""
    return " ".join(_NOISE.sub(" ", question).lower().split())


def grams_of(text: str) -> frozenset[str]:
    """Word 3-grams of a normalised text; none of one too short to tell."""
    words = text.split()
    if len(words) < MIN_WORDS:
        return frozenset()
    return frozenset(" ".join(words[place : place + 3]) for place in range(len(words) - 2))
