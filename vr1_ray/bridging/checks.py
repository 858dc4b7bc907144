"""Checks of a chain that no pattern can do: named functions, which rules.yaml gives their numbers.

Each returns whether the chain is at fault. To add one, write a function here and a row in CHECKS; the other
keys of its rule in rules.yaml come as keyword arguments.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from vr1_ray.answers import answers_match
from vr1_ray.bridging.chains import Chain

_VALUE = r"(?P<value>(?:[^\n.!?;,]|[.,](?=\d)){1,60})"
_ASIDE = r"(?:(?:therefore|thus|then|so|clearly|indeed|just|simply|actually|really|option|choice|exactly|now)\s+)*"
_IS = r"(?:is|was|'s|must be|should be|would be|has to be|will be|comes (?:out )?to|turns out (?:to be)?|equals|=|:)"
_STATEMENTS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b(?:answer|result|total|solution|conclusion|outcome)\s*(?:here\s+|then\s+)?{_IS}\s*:?\s*{_ASIDE}{_VALUE}",
        r"\b(?:go(?:ing)? (?:with|for)|settl(?:e|ing) (?:on|for)|stick(?:ing)? (?:with|to)|opt(?:ing)? for|"
        r"commit(?:ting)? to|choos(?:e|ing)|pick(?:ing)?|conclud(?:e|ing)(?: that)?(?: it is| it's)?|"
        rf"(?:I|I'd|I'll|I would|we) (?:say|answer))\s*:?\s*{_ASIDE}{_VALUE}",
        r"(?P<value>[\w./-]{1,20})\s+(?:it is\b|(?:is|as|for|must be|should be|would be)\s+(?:the|my|our)\s+"
        r"(?:final\s+)?(?:answer|result|choice|conclusion))",
    )
)
_LAST_SENTENCE = re.compile(
    r"\b(?:it's|it is|that's|that is|that makes|which makes|makes|gives|get|leaves|leaving|yields|have)\s+"
    rf"{_ASIDE}(?P<value>-?\d+(?:[./]\d+)*|[A-H]\b|yes\b|no\b)",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"(?<![\w.])(-?\d+(?:\.\d+)?(?:/\d+)?)(?![\w])|\b([Yy]es|[Nn]o)\b|(?<![\w'])\(?([A-H])\)?(?![\w'])"
)
_NO_ANSWER = frozenset(
    [
        "the",
        "that",
        "this",
        "what",
        "and",
        "but",
        "for",
        "with",
        "not",
        "bar",
        "one",
        "same",
        "of",
        "is",
        "it",
    ]
)
_WORD = re.compile(r"[a-z][a-z-]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """What a check sees of one candidate: the chain, the row's question and its reference answer."""

    chain: Chain
    question: str
    answer: str


def unterminated(checked: Checked) -> bool:
    """The reply was cut, or ends inside its thought."""
    return not checked.chain.is_finished


def no_answer(checked: Checked) -> bool:
    """The reply ends without an answer that can be read."""
    return checked.chain.is_finished and not checked.chain.answer


def wrong_answer(checked: Checked) -> bool:
    """The final answer isn't the reference answer, by the checker of the rewards."""
    answer = checked.chain.answer
    return bool(answer) and not is_right(answer, checked.answer, checked.question)


def is_right(answer: str, reference: str, question: str) -> bool:
    """Whether two answers agree, one of which may be the letter or the text of the other's choice."""
    if answers_match(answer, reference):
        return True
    choices = choices_of(question)
    return any(
        answers_match(choices[letter.strip("() .")], text)
        for letter, text in ((answer, reference), (reference, answer))
        if letter.strip("() .") in choices
    )


def empty_thought(checked: Checked, min_words: int) -> bool:
    """There is hardly a thought before the answer."""
    return len(checked.chain.thought.split()) < min_words


def too_long(checked: Checked, max_words: int) -> bool:
    """The thought has more words than allowed (16,384 tokens are about 12,000)."""
    return len(checked.chain.thought.split()) > max_words


def looping(checked: Checked, times: int, min_words: int, max_share: float) -> bool:
    """A stretch of words comes `times` in a row, or one sentence over and over makes up `max_share` of all."""
    words = checked.chain.thought.lower().split()
    for period in range(1, min(80, len(words) // times) + 1):
        run = 0
        for at in range(period, len(words)):
            run = run + 1 if words[at] == words[at - period] else 0
            if run >= period * (times - 1) and run + period >= min_words:
                return True
    sentences = Counter(
        sentence.strip()
        for sentence in re.split(r"(?<=[.!?])\s+|\n", checked.chain.thought.lower())
    )
    return any(
        count >= 2 * times and count * len(sentence.split()) > max_share * len(words)
        for sentence, count in sentences.items()
        if len(sentence.split()) > 2
    )


def contradiction(checked: Checked) -> bool:
    """The answer stated last in the thought is another than the final one."""
    final, thought = checked.chain.answer, checked.chain.thought
    stated = last_statement(thought)
    if not final or not stated or is_right(stated, final, checked.question):
        return False
    choices = choices_of(checked.question)
    kinds = {kind for kind, _ in _tokens(final)} or {"word"}
    if final.strip("() .") in choices:  # a letter may be meant by its text
        kinds |= {kind for kind, _ in _tokens(choices[final.strip("() .")])} or {"word"}
    for kind, token in _tokens(stated)[:1]:
        return kind in kinds and not is_right(token, final, checked.question)
    if "word" not in kinds:
        return False
    # Any word may follow "the answer is": only one that the thought has named before is an answer.
    named = [word for word in _WORD.findall(stated.lower()) if thought.lower().count(word) > 1]
    named = [word for word in named if word not in _NO_ANSWER]
    return bool(named) and not set(_WORD.findall(final.lower())) & set(
        _WORD.findall(stated.lower())
    )


def last_statement(thought: str) -> str:
    """What the thought says last about its answer; "" if it says nothing of it."""
    start = max(thought.rstrip(" \n.!?").rfind(end) for end in (". ", "! ", "? ", "\n")) + 1
    found = [match for pattern in _STATEMENTS for match in pattern.finditer(thought)]
    found += _LAST_SENTENCE.finditer(thought, start)
    if not found:
        return ""
    return max(found, key=lambda match: match.start("value"))["value"].strip()


def choices_of(question: str) -> dict[str, str]:
    """Letter -> text of the choices a question offers: `(A) 7`, `A. 7`, `A: 7`, or `7 (A)`."""
    after = re.findall(r"(?:^|[\s(])([A-H])[.):]\s*([^\n]+?)(?=\s+\(?[A-H][.):]|\n|$)", question)
    before = re.findall(r"(?:^|(?<=[:)]))\s*([^():?\n]+?)\s*\(([A-H])\)", question)
    if before and len(before) >= len(after):
        return {letter: text.strip() for text, letter in before}
    return {letter: text.strip() for letter, text in after}


def _tokens(text: str) -> list[tuple[str, str]]:
    """(kind, token) of the numbers, yes or no, and single capital letters in a text, in order."""
    kinds = ("number", "yes or no", "letter")
    tokens = []
    for match in _TOKEN.finditer(text):
        kind, token = next(
            (kind, group) for kind, group in zip(kinds, match.groups(), strict=True) if group
        )
        is_article = kind == "letter" and token == "A" and re.match(r" [a-z]", text[match.end() :])
        if not is_article:
            tokens.append((kind, token))
    return tokens


Check = Callable[..., bool]
CHECKS: dict[str, Check] = {
    "contradiction": contradiction,
    "empty_thought": empty_thought,
    "looping": looping,
    "no_answer": no_answer,
    "too_long": too_long,
    "unterminated": unterminated,
    "wrong_answer": wrong_answer,
}
