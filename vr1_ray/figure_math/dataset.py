"""Writes `figure_math`: generated figures and questions in the row schema of geometry3k.

    python -m vr1_ray.figure_math.dataset --folder data/figure_math

`train.parquet`, `validation.parquet` and `test.parquet` have the columns `images` (one PNG),
`problem` (with one `<image>` mark), `answer`, `family` and `figure` (JSON of what was drawn).
`demonstrations.json` holds cold-start demonstrations in the sharegpt form of Vision-R1-cold,
with their pictures as files beside it; how they are made is told in `thoughts`.

Every figure belongs to one split by the hash of its content, so train, validation, test and
demonstrations share no figure, with whatever question. The same seed writes the same content,
whatever the numbers of the other splits. What is drawn and asked lives in `drawing` and
`questions`.
"""

import argparse
import io
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from vr1_ray.figure_math.drawing import Figure, draw, figure_to_json
from vr1_ray.figure_math.questions import Question, random_question, solve
from vr1_ray.figure_math.thoughts import demonstration

TEST_BUCKETS = (0,)
VALIDATION_BUCKETS = (1,)
TRAIN_BUCKETS = (2, 3, 4, 5)
DEMONSTRATION_BUCKETS = (6, 7, 8, 9)
_SPLIT_BUCKETS = {"train": TRAIN_BUCKETS, "validation": VALIDATION_BUCKETS, "test": TEST_BUCKETS}

IMAGE_MARK = "<image>"
DEMONSTRATION_FILE = "demonstrations.json"
DEMONSTRATION_IMAGES = "demonstration_images"


def random_items(split: str, seed: int, number: int) -> Iterator[tuple[Figure, Question, Random]]:
    """Different (figure, question) pairs of a split, with the random source that made them."""
    buckets = DEMONSTRATION_BUCKETS if split == "demonstrations" else _SPLIT_BUCKETS[split]
    rng = Random(f"{split} {seed}")
    seen: set[tuple[Figure, str]] = set()
    while len(seen) < number:
        figure, question = random_question(rng, buckets)
        if (figure, question.text) not in seen:
            seen.add((figure, question.text))
            yield figure, question, rng


def encode_png(figure: Figure) -> bytes:
    """The figure's picture as PNG."""
    buffer = io.BytesIO()
    draw(figure).save(buffer, format="PNG")
    return buffer.getvalue()


def to_row(figure: Figure, question: Question) -> dict[str, Any]:
    """One row of a parquet split."""
    return {
        "images": [{"bytes": encode_png(figure), "path": None}],
        "problem": IMAGE_MARK + question.text,
        "answer": solve(question, figure),
        "family": question.family,
        "figure": figure_to_json(figure),
    }


def write_split(folder: Path, split: str, seed: int, number: int) -> Path:
    """Writes one parquet split and returns its path."""
    from datasets import Dataset, Features, Image, List, Value

    text = Value("string")
    features = Features(
        {"images": List(Image()), "problem": text, "answer": text, "family": text, "figure": text}
    )
    rows = [to_row(figure, question) for figure, question, _ in random_items(split, seed, number)]
    path = folder / f"{split}.parquet"
    Dataset.from_list(rows, features=features).to_parquet(path)
    return path


def write_demonstrations(folder: Path, seed: int, number: int) -> Path:
    """Writes the demonstrations and their pictures, and returns the path of the JSON file."""
    (folder / DEMONSTRATION_IMAGES).mkdir(exist_ok=True)
    rows = []
    for index, (figure, question, rng) in enumerate(random_items("demonstrations", seed, number)):
        image = f"{DEMONSTRATION_IMAGES}/{index:06d}.png"
        (folder / image).write_bytes(encode_png(figure))
        turns = [
            {"from": "human", "value": IMAGE_MARK + question.text},
            {"from": "gpt", "value": demonstration(question, figure, rng)},
        ]
        rows.append({"id": f"figure_math_{index:06d}", "image": image, "conversations": turns})
    path = folder / DEMONSTRATION_FILE
    path.write_text(json.dumps(rows, indent=1) + "\n")
    return path


def write_dataset(
    folder: Path,
    seed: int = 0,
    num_train: int = 4000,
    num_validation: int = 200,
    num_test: int = 600,
    num_demonstrations: int = 3000,
) -> None:
    """Writes all splits and the demonstrations into `folder`, a few seconds' work."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for split, number in (("train", num_train), ("validation", num_validation), ("test", num_test)):
        write_split(folder, split, seed, number)
    write_demonstrations(folder, seed, num_demonstrations)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write the figure_math dataset.")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num_train", type=int, default=4000)
    parser.add_argument("--num_validation", type=int, default=200)
    parser.add_argument("--num_test", type=int, default=600)
    parser.add_argument("--num_demonstrations", type=int, default=3000)
    args = parser.parse_args()
    write_dataset(**vars(args))


if __name__ == "__main__":
    main()
