"""Rows in the schema of geometry3k and Vision-R1-rl become prompts.

A row has `images` (a list of `{bytes, path}` structs or of paths), `problem` with one `<image>` mark per
image, and `answer`; the names are configurable and every other column goes to `Prompt.metadata`, so far as
JSON can hold it. The source is a local .parquet, .jsonl or .json file, a folder with one file per split, or
a name on the Hugging Face hub: all are read by `datasets`, and no pixel is decoded into memory to stay.

`prompt_id` is the hash of question, images and answer. A row that comes twice keeps both places: the second
gets `-1`, the third `-2`, because groups are found by id and seeds are made from it.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from vr1_ray.config import DataConfig
from vr1_ray.data.images import DataError, ImageReader, RowProblems, check_marks
from vr1_ray.types import EncodedImage, Prompt

_FORMATS = {".parquet": "parquet", ".jsonl": "json", ".json": "json"}
_SPLIT_PATTERNS = (
    "{split}{suffix}",
    "{split}-*{suffix}",
    "data/{split}{suffix}",
    "data/{split}-*{suffix}",
)


def load_prompts(
    config: DataConfig, source: str, split: str, *, field: str = "data.train"
) -> list[Prompt]:
    """All prompts of a source, in file order. Raises DataError; `field` names the setting in its message."""
    dataset, root = open_dataset(source, split, field, config.revision)
    if config.image_root:
        root = Path(config.image_root)
    _check_columns(dataset.column_names, config, source, field)
    if config.max_rows:
        dataset = dataset.select(range(min(config.max_rows, len(dataset))))
    images = ImageReader(root, config.max_image_pixels)
    problems = RowProblems(field, source)
    prompts: list[Prompt] = []
    for number, row in enumerate(_rows(dataset)):
        try:
            prompts.append(to_prompt(row, config, images))
        except DataError as error:
            problems.add(number, str(error))
    problems.raise_if_any()
    if not prompts:
        raise DataError(f"{field}: {source} has no rows in split {split!r}; give a split that has")
    return number_duplicates(prompts)


def to_prompt(row: dict[str, Any], config: DataConfig, images: ImageReader) -> Prompt:
    """One row as a prompt. Raises DataError with what is wrong with it."""
    question, answer = row[config.prompt_column], row[config.answer_column]
    if not isinstance(question, str) or not question.strip():
        raise DataError(
            f"{config.prompt_column}: {question!r} is no question; give every row a text"
        )
    if answer is None or not str(answer).strip():
        raise DataError(
            f"{config.answer_column}: {answer!r} is no reference answer; give every row one, or drop the row"
        )
    try:
        pictures = images.read_all(row.get(config.images_column))
    except DataError as error:
        raise DataError(f"{config.images_column}: {error}") from error
    check_marks(question, len(pictures), config.prompt_column)
    used = {config.prompt_column, config.answer_column, config.images_column}
    metadata = {key: value for key, value in row.items() if key not in used and _is_json(value)}
    return make_prompt(question, pictures, str(answer).strip(), metadata)


def make_prompt(
    question: str,
    images: tuple[EncodedImage, ...],
    answer: str,
    metadata: dict[str, Any] | None = None,
) -> Prompt:
    """A prompt with the id that its content gives it."""
    content = json.dumps([question, [image.content_hash for image in images], answer])
    prompt_id = hashlib.sha256(content.encode()).hexdigest()[:16]
    return Prompt(
        prompt_id=prompt_id,
        question=question,
        images=images,
        answer=answer,
        metadata=metadata or {},
    )


def number_duplicates(prompts: list[Prompt]) -> list[Prompt]:
    """The same prompts with different ids: a repeated one gets `-1`, `-2` ... in order."""
    seen: Counter[str] = Counter()
    numbered = []
    for prompt in prompts:
        count = seen[prompt.prompt_id]
        seen[prompt.prompt_id] += 1
        numbered.append(
            replace(prompt, prompt_id=f"{prompt.prompt_id}-{count}") if count else prompt
        )
    return numbered


def limit_prompts(
    prompts: list[Prompt],
    length_of: Callable[[Prompt], int],
    max_prompt_tokens: int,
    policy: Literal["skip", "error"] = "skip",
) -> tuple[list[Prompt], int]:
    """The prompts of at most `max_prompt_tokens` tokens and the number of those left out.

    `length_of` counts tokens with the images' placeholders expanded, as the model adapter does. With
    policy "error" a single prompt that is too long raises DataError; nothing left raises it always.
    """
    kept, longest = [], 0
    for number, prompt in enumerate(prompts):
        length = length_of(prompt)
        longest = max(longest, length)
        if length <= max_prompt_tokens:
            kept.append(prompt)
        elif policy == "error":
            raise DataError(
                f"data.max_prompt_tokens: prompt {prompt.prompt_id} (row {number}) has {length} tokens, over "
                f"{max_prompt_tokens}; raise the limit, lower model.max_pixels, or set data.overlong_prompts=skip"
            )
    if prompts and not kept:
        raise DataError(
            f"data.max_prompt_tokens: {max_prompt_tokens} leaves none of {len(prompts)} prompts, the longest has "
            f"{longest} tokens; raise the limit or lower model.max_pixels"
        )
    return kept, len(prompts) - len(kept)


def check_image_counts(prompts: list[Prompt], max_images: int, field: str, source: str) -> None:
    """Raise DataError for prompts with more images than an engine is set to take."""
    problems = RowProblems(field, source)
    for number, prompt in enumerate(prompts):
        if len(prompt.images) > max_images:
            problems.add(
                number,
                f"{len(prompt.images)} images, over model.max_images={max_images}; raise the limit, or drop the row",
            )
    problems.raise_if_any()


def open_dataset(
    source: str, split: str, field: str, revision: str | None = None
) -> tuple[Any, Path | None]:
    """The rows of a source and the folder its image paths are relative to (None for the hub)."""
    if not source:
        raise DataError(
            f"{field}: empty; give a .parquet, .jsonl or .json file, a folder, or a hub name"
        )
    path = Path(source)
    if path.is_dir():
        files = _split_files(path, split, field)
        return _load(
            _FORMATS[files[0].suffix], field, source, data_files=[str(f) for f in files]
        ), path
    if path.exists():
        if path.suffix not in _FORMATS:
            raise DataError(
                f"{field}: {source} is not a {', '.join(_FORMATS)} file; convert it to one"
            )
        return _load(_FORMATS[path.suffix], field, source, data_files=[str(path)]), path.parent
    is_local = (
        path.suffix in _FORMATS or path.parent.is_dir()
    )  # a hub name has an owner, here no folder
    if is_local or not re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        raise DataError(
            f"{field}: {source} does not exist; check the path (relative to {Path.cwd()})"
        )
    return _load(source, field, source, split=split, revision=revision), None


def _split_files(folder: Path, split: str, field: str) -> list[Path]:
    for suffix in _FORMATS:
        for pattern in _SPLIT_PATTERNS:
            files = sorted(folder.glob(pattern.format(split=split, suffix=suffix)))
            if files:
                return files
    present = ", ".join(sorted(item.name for item in folder.iterdir())[:8]) or "nothing"
    raise DataError(
        f"{field}: folder {folder} has no file for split {split!r} (it holds {present}); "
        f"name one {split}.parquet or {split}.jsonl, or give another split"
    )


def _load(name: str, field: str, source: str, *, split: str = "train", **arguments: Any) -> Any:
    """`datasets.load_dataset` without its progress bars, its errors told in one line."""
    import datasets

    bars = datasets.utils.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        return datasets.load_dataset(name, split=split, **arguments)
    except Exception as error:  # pyarrow, fsspec, hub and datasets errors have no common root
        cause = str(error.__cause__ or error).strip().split("\n")[0]
        cure = (
            "check that the file is whole and of the format its name says"
            if "data_files" in arguments
            else "it is no local file or folder; check the path, or the hub name, its split and the network"
        )
        raise DataError(f"{field}: {source} can't be read ({cause:.200}); {cure}") from error
    finally:
        if not bars:
            datasets.enable_progress_bars()


def _check_columns(columns: list[str], config: DataConfig, source: str, field: str) -> None:
    for setting in ("prompt_column", "answer_column"):
        wanted = getattr(config, setting)
        if wanted not in columns:
            raise DataError(
                f"{field}: {source} has no column {wanted!r}, only {', '.join(columns)}; "
                f"set data.{setting} to the right one"
            )


def _rows(dataset: Any) -> Iterator[dict[str, Any]]:
    """Rows as plain Python; the Arrow format hands images over as they are stored, never decoded."""
    for batch in dataset.with_format("arrow").iter(batch_size=64):
        yield from batch.to_pylist()


def _is_json(value: Any) -> bool:
    if value is None or isinstance(value, (str, int, float, bool)):
        return True
    if isinstance(value, list):
        return all(_is_json(item) for item in value)
    return isinstance(value, dict) and all(
        isinstance(key, str) and _is_json(item) for key, item in value.items()
    )
