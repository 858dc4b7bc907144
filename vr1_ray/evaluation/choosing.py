"""Multiple choice, as every benchmark here that has options scores it under the honest protocol.

In order: a letter that the answer commits to; the text of one option, the same or of the same value; else not decided.
Two letters, or a letter beside another option's text, commit to nothing and are wrong.
"""

import re
from dataclasses import dataclass

from vr1_ray.answers import answers_match
from vr1_ray.answers.choice import read_choice
from vr1_ray.answers.text import plain_text
from vr1_ray.evaluation.base import Verdict
from vr1_ray.evaluation.extraction import Answer

_IN_BRACKETS = re.compile(r"\(([A-Za-z])\)")
_OPTION_LINE = re.compile(
    r"(?:^|[\n;,]\s*|\s)\(?([A-J])\)?\s*[:.)]\s*(.+?)(?=(?:[\n;,]\s*|\s+)\(?[A-J]\)?\s*[:.)]\s|\n|$)",
    re.DOTALL,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """The option an answer names; letter "" if it names none."""

    letter: str
    rule: str
    is_decided: bool = True


def choose(answer: Answer, choices: tuple[str, ...]) -> Chosen:
    """Which option an answer names, given the options' texts, A first (empty texts where they are unknown)."""
    if not answer.text:
        return Chosen(letter="", rule=answer.how, is_decided=answer.is_final)
    letters = [chr(ord("A") + place) for place in range(len(choices))]
    same = [
        letter
        for letter, text in zip(letters, choices, strict=True)
        if text and text == answer.text
    ]
    if (
        same and answer.text not in letters
    ):  # options that are letters themselves are named by letter
        return Chosen(letter=same[0], rule="option text, the same")
    found = read_choice(plain_text(answer.text))
    if found is not None and len(found.letters) == 1:
        [letter] = found.letters
        if letter in letters and not _is_other_text(found.text, letter, choices):
            return Chosen(letter=letter, rule="option letter")
        if letter in letters:
            return Chosen(letter="", rule="letter and text of different options")
    if found is not None and len(found.letters) > 1:
        return Chosen(letter="", rule="several letters")
    inside = set(_IN_BRACKETS.findall(answer.text.upper()))
    if len(inside) == 1 and (letter := inside.pop()) in letters:
        return Chosen(letter=letter, rule="option letter in brackets")
    equal = [
        letter
        for letter, text in zip(letters, choices, strict=True)
        if text and answers_match(answer.text, text)
    ]
    if len(equal) == 1:
        return Chosen(letter=equal[0], rule="option text, the same value")
    if len(equal) > 1:
        return Chosen(letter="", rule="text of several options")
    return Chosen(letter="", rule="names no option", is_decided=False)


def _is_other_text(text: str, letter: str, choices: tuple[str, ...]) -> bool:
    """Whether the text beside a letter is that of another option, and not of its own."""
    own = choices[ord(letter) - ord("A")]
    if not text or not own or answers_match(text, own):
        return False
    return any(option and option != own and answers_match(text, option) for option in choices)


def choice_verdict(answer: Answer, choices: tuple[str, ...], correct: str) -> Verdict:
    """The verdict on a choice; `correct` is the right letter."""
    chosen = choose(answer, choices)
    return Verdict(
        is_correct=bool(chosen.letter) and chosen.letter == correct,
        rule=chosen.rule,
        extracted=chosen.letter or answer.text,
        is_decided=chosen.is_decided,
    )


def options_in(question: str) -> tuple[str, ...]:
    """The options written at the end of a question ("Choices:\\nA:40°\\nB:60°"), A first; () if there are none."""
    start = re.search(r"(?:choices|options)\s*:", question, re.IGNORECASE)
    found = _OPTION_LINE.findall("\n" + question[start.end() :].strip()) if start else []
    letters = [letter for letter, _ in found]
    expected = [chr(ord("A") + place) for place in range(len(found))]
    return tuple(text.strip() for _, text in found) if found and letters == expected else ()
