"""Each cure that a message of the package names is tried: the mistake is made, the cure applied, and then it goes.

A new message with a cure must be brought about by a case, or be listed in `untried.txt` with the reason why it is
not: so a cure that fails is found here and not by a user. The list is kept with `python -m tests.unit.cures`.
"""

import logging
import traceback

import pytest

from tests.unit.cures.cases import Case
from tests.unit.cures.config_cases import CASES as CONFIG_CASES
from tests.unit.cures.data_cases import CASES as DATA_CASES
from tests.unit.cures.inventory import Message, messages, untried
from tests.unit.cures.other_cases import CASES as OTHER_CASES

CASES = [*CONFIG_CASES, *DATA_CASES, *OTHER_CASES]


def told(case: Case, folder) -> str:
    """What is said of the mistake: the message of its error, or of its warnings."""
    with Warnings() as warnings:
        try:
            said = case.wrong(folder)
        except (ValueError, RuntimeError) as error:
            said = str(error)
    return "\n".join([*warnings.lines, str(said or "")])


class Warnings(logging.Handler):
    """The lines that the package logs in a block."""

    def __init__(self):
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record):
        self.lines.append(record.getMessage())

    def __enter__(self):
        logging.getLogger("vr1_ray").addHandler(self)
        return self

    def __exit__(self, *_):
        logging.getLogger("vr1_ray").removeHandler(self)


@pytest.fixture(scope="module")
def messages_told(tmp_path_factory):
    """What each case's mistake brings about, by the case's place."""
    return [told(case, tmp_path_factory.mktemp(f"wrong{n}")) for n, case in enumerate(CASES)]


@pytest.mark.parametrize("place", range(len(CASES)), ids=[case.name for case in CASES])
def test_a_mistake_is_told_and_each_cure_it_names_works(place, messages_told, tmp_path):
    case = CASES[place]
    assert case.says in messages_told[place]
    for number, cure in enumerate(case.cures):
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            left = cure(folder)
        except (ValueError, RuntimeError, OSError):
            pytest.fail(
                f"cure {number} does not help against: {messages_told[place]}\n{traceback.format_exc(limit=-3)}"
            )
        assert case.says not in str(left or "")


def untold(messages_told) -> list[Message]:
    """The package's messages with a cure that no case brings about."""
    return [message for message in messages() if not any(map(message.is_in, messages_told))]


def test_each_message_with_a_cure_is_brought_about_by_a_case_or_listed_with_the_reason(
    messages_told,
):
    left = [(message.file, message.text) for message in untold(messages_told)]
    listed = untried()
    forgotten = [item for item in left if item not in listed]
    assert forgotten == [], "give them a case, or a reason in untried.txt"


def test_no_message_is_listed_that_a_case_brings_about(messages_told):
    left = {(message.file, message.text) for message in untold(messages_told)}
    here = {(message.file, message.text) for message in messages()}
    assert [item for item in untried() if item in here and item not in left] == []


def test_every_listed_message_has_a_reason():
    assert [item for item, reason in untried().items() if not reason] == []
