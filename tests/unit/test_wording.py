"""Counts and near misses in messages, and that the package writes no count beside a plural by hand."""

import re
from pathlib import Path

import pytest

from vr1_ray.wording import counted, did_you_mean, nearest


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "row", "0 rows"),
        (1, "row", "1 row"),
        (2, "training prompt", "2 training prompts"),
        (1, "reply", "1 reply"),
        (4000, "reply", "4,000 replies"),
        (2, "day", "2 days"),
        (3, "batch", "3 batches"),
        (2, "GPU", "2 GPUs"),
    ],
)
def test_a_count_has_its_noun_in_singular_or_plural(number, noun, text):
    assert counted(number, noun) == text


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("gpro", "grpo"),
        ("GRPO", "grpo"),
        ("dr-grpo", "dr_grpo"),
        ("drgrpo", "dr_grpo"),
        ("xyz", ""),
    ],
)
def test_a_slip_of_the_pen_finds_what_was_meant(name, meant):
    known = ["grpo", "dr_grpo", "rloo"]
    assert nearest(name, known) == meant
    assert did_you_mean(name, known) == (f" Did you mean {meant}?" if meant else "")


COUNTS = r"(rows|nodes|steps|files|questions|prompts|responses|demonstrations|updates|checks)\b"
ROOMS = ("preflight", "commands", "data", "loops")
VERBS = r"(?! (that|are|of))"  # a verb in the plural would stand beside a noun in the singular


def test_no_count_stands_beside_a_plural_that_is_written_by_hand():
    found = [
        f"{path}: {text}"
        for room in ROOMS
        for path in sorted(Path("vr1_ray", room).rglob("*.py"))
        for text in re.findall(rf"\{{len\([^{{}}]*\}} {COUNTS}{VERBS}", path.read_text())
    ]
    assert found == []
