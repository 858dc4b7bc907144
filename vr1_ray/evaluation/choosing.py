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
_HEADING = re.compile(r"\b(?:choices?|options?)\s*:", re.IGNORECASE)
_FIRST_OPTION = re.compile(r"(?:^|\n)\s*\(?A\)?\s*[:.)]\s*(?=\S)")
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
    is_letter = answer.text.strip("()[] ").upper() in letters
    if same and not is_letter:  # options that are letters themselves are named by letter
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
    for start in reversed(list(_HEADING.finditer(question))):
        if found := _options_of(question[start.end() :]):
            return found
    unmarked = _FIRST_OPTION.search(question)
    found = _options_of(question[unmarked.start() :]) if unmarked else ()
    return found if len(found) > 1 else ()


def _options_of(text: str) -> tuple[str, ...]:
    found = _OPTION_LINE.findall("\n" + text.strip())
    letters = [letter for letter, _ in found]
    expected = [chr(ord("A") + place) for place in range(len(found))]
    return tuple(text.strip() for _, text in found) if found and letters == expected else ()


def letters_of(reference: str, choices: tuple[str, ...]) -> frozenset[str]:
    """The letters that a reference names: "C", "(C)", "C\\nD", the text of an option; none for anything else."""
    letters = [chr(ord("A") + place) for place in range(max(len(choices), 5))]
    found = [part.strip("()[].: ") for part in re.split(r"[\s,;]+", reference) if part]
    if found and all(part in letters for part in found):
        return frozenset(found)
    same = [letter for letter, text in zip(letters, choices, strict=False) if text == reference]
    return frozenset(same[:1])


def letters_verdict(answer: Answer, choices: tuple[str, ...], wanted: frozenset[str]) -> Verdict:
    """The verdict on a choice of one or more letters: all of them and no other."""
    if len(wanted) == 1:
        return choice_verdict(answer, choices, next(iter(wanted)))
    if not answer.text:
        return Verdict(is_correct=False, rule=answer.how, is_decided=answer.is_final)
    found = read_choice(plain_text(answer.text))
    return Verdict(
        is_correct=found is not None and found.letters == wanted,
        rule="several option letters",
        extracted="".join(sorted(found.letters)) if found else answer.text,
        is_decided=found is not None,
    )
