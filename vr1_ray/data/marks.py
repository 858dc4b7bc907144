r"""Where pictures stand in a question, and what a text may not hold.

<image>              one mark per picture, in order; without any mark, pictures stand before the text
<image_1>, <image 1> (or <image1>) picture 1 stands here; then a plain <image> is a text
\<image>             a text: what follows one backslash is no mark
<video>, <audio>     refused, for they are not supported
<|im_end|> and kin   refused: read as the model's control tokens, they would end the turn
"""

import re

from vr1_ray.data.refusals import DataError, shortened
from vr1_ray.pictures import IMAGE_MARK, escape_marks, split_at_marks

# Of the families that are trained here and of their kin; as `<|x|>` stands in formulas, these names alone.
CONTROL_TOKENS = re.compile(
    r"<\|(?:im_start|im_end|endoftext|(?:vision|image|video|audio|text|fim)_(?:start|end|pad|bos|eos|prefix|middle"
    r"|suffix)|(?:object_ref|box|quad)_(?:start|end)|repo_name|file_sep|(?:start|end)_header_id|eot_id|eom_id"
    r"|(?:begin|end)_of_(?:text|sentence|image)|python_tag|endofprompt|startoftext|action_(?:start|end)"
    r"|image|video|audio|user|assistant|system|end|start|return|channel|message|bos|eos|pad)\|>"
    r"|<IMG_CONTEXT>|</?(?:start|end)_of_(?:turn|image)>|</?tool_(?:call|response)s?>|<｜[^｜<>]{1,40}｜>"
)
# What no keyboard writes; \b and \f are what JSON makes of "\boxed" and "\frac" with one backslash.
_BROKEN = re.compile("[\x00-\x08\x0e-\x1f\x7f]|\x0c(?=rac|box)|\x0b(?=ec)")
_OUTSIDE = r"(?:(?<!\\)|(?<=\\\\))"  # not after exactly one backslash
_NUMBERED = re.compile(_OUTSIDE + r"<image[ _]?(\d{1,3})>", re.IGNORECASE)
_PLAIN = re.compile(_OUTSIDE + r"<image>", re.IGNORECASE)
_OTHER_MEDIA = re.compile(_OUTSIDE + r"<(video|audio)>", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(<(?:image(?:[ _]?\d{1,3})?|video|audio)>)", re.IGNORECASE)


def check_text(text: str, column: str) -> None:
    """Refuses a text that a tokenizer would not read as one."""
    found = CONTROL_TOKENS.search(text) if "<" in text else None
    if found:
        raise DataError(
            f"{column}: {shortened(text)} holds {found[0]!r}, which the model reads as a control token (it may end "
            "the turn); take it out, or write it with a space inside"
        )
    check_signs(text, column)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{column}: half of a sign (a lone surrogate) at {text[error.start : error.start + 1]!r}; mend the text"
        ) from error


def check_signs(text: str, column: str) -> None:
    """Refuses control characters, as a lost backslash leaves them. Raises DataError."""
    found = _BROKEN.search(text)
    if found:
        part = text[max(0, found.start() - 10) : found.end() + 10]
        raise DataError(
            f"{column}: the control character {found[0]!r} in {part!r}; in JSON a backslash is written twice (\\\\boxed, "
            "\\\\frac), or take it out"
        )


def place_marks(text: str, num_images: int, column: str) -> tuple[str, list[int]]:
    """The question with one `<image>` mark per picture, and which picture each shows. Raises DataError."""
    if "<" not in text:  # most texts; what follows looks for marks
        return IMAGE_MARK * num_images + text, list(range(num_images))
    media = _OTHER_MEDIA.search(text)
    if media:
        raise DataError(
            f"{column}: {shortened(text)} holds a {media[0]} mark; {media[1].lower()} is not supported: drop the row, "
            f"give pictures of it, or write \\{media[0]} if it is a text"
        )
    numbers = [int(number) for number in _NUMBERED.findall(text)]
    if numbers:
        return _place_numbered(text, numbers, num_images, column)
    order = list(range(num_images))
    if num_images and not _PLAIN.search(text):
        return IMAGE_MARK * num_images + _unescaped(text), order
    question = _unescaped(_PLAIN.sub(IMAGE_MARK, text))
    check_marks(question, num_images, column)
    return question, order


def _place_numbered(
    text: str, numbers: list[int], num_images: int, column: str
) -> tuple[str, list[int]]:
    if set(numbers) != set(range(1, num_images + 1)):
        found = ", ".join(sorted({mark[0] for mark in _NUMBERED.finditer(text)}))
        raise DataError(
            f"{column}: marks {found} for {num_images} images in {shortened(text)}; number the pictures from 1 and "
            r"name each, or write \<image_1> for a text"
        )
    question = _unescaped(_NUMBERED.sub(IMAGE_MARK, escape_marks(text)))
    check_marks(question, len(numbers), column)
    return question, [number - 1 for number in numbers]


def _unescaped(text: str) -> str:
    r"""Without the backslash where no mark is left to be told from: `\<image_1>`, `\<video>`."""
    return _ESCAPED.sub(lambda found: found[found[1] != IMAGE_MARK], text)


def escape_other_marks(question: str) -> str:
    r"""A question as `place_marks` gives it, written so that it reads as itself: `<image_1>` or `<video>` are texts in it."""
    for pattern in (_NUMBERED, _OTHER_MEDIA):
        question = pattern.sub(lambda found: "\\" + found[0], question)
    return question


def check_marks(question: str, num_images: int, column: str) -> None:
    """Refuses a question whose `<image>` marks are not as many as its images."""
    num_marks = len(split_at_marks(question)) - 1
    if num_marks != num_images:
        raise DataError(
            f"{column}: {num_marks} {IMAGE_MARK} marks for {num_images} images in {shortened(question)}; write one "
            rf"mark per image, where the image stands, and \{IMAGE_MARK} (or <image_1> marks) for one that is a text"
        )
