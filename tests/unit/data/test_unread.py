"""What a row holds of its question that no policy would see is refused, or named in the log."""

import json

import pytest

from tests.unit.data.inputs import READERS, RESPONSE, as_row, outcome, pictures


@pytest.fixture
def root(tmp_path):
    return pictures(tmp_path)


LOST = [
    ({"images": ["a.png"], "image2": ["b.png"]}, "image2: pictures stand here and in 'images'"),
    ({"images": ["a.png"], "image_2": "b.png"}, "image_2: pictures stand here and in 'images'"),
    ({"history": [["What?", "That."]]}, "history: [['What?', 'That.']] are earlier turns"),
    ({"question": '<img src="a.png"> How many?'}, "shows a picture by its text alone"),
    ({"question": "![a figure](figures/a.png) How many?"}, "shows a picture by its text alone"),
    ({"question": "<|image_1|> How many?"}, "shows a picture by its text alone"),
    ({"question": "a\0b"}, "the control character '\\x00' in 'a\\x00b'"),
    ({"question": "What is \x08oxed{3}?"}, "a backslash is written twice"),
    ({"question": "What is \x0crac{1}{2}?"}, "a backslash is written twice"),
]  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("cells", "said"), LOST)
def test_a_row_whose_question_has_more_to_it_is_refused(root, reader, cells, said):
    found = outcome(reader, root, [as_row(reader, **cells)])
    assert "row 0: " in found
    assert said in found


@pytest.mark.parametrize(
    "cells",
    [
        {"images": ["a.png"], "image2": None},
        {"images": ["a.png"], "image_count": 2, "image_2_caption": "red"},
        {"images": ["a.png"], "question": "<image> as in ![a](a.png)?"},
        {"history": []},
        {"question": "Is <img> a tag? Is ![](link.html) a link?"},
        {"question": "tab\tand\nlines\x0c"},
    ],
)
def test_rows_that_only_look_like_it_are_read(root, cells):
    assert len(outcome("prompts", root, [as_row("prompts", **cells)])) == 1


def test_text_alone_may_show_pictures_in_html(root):
    row = as_row("prompts", question='<img src="a.png"> How many?')
    assert len(outcome("prompts", root, [row], images_column="")) == 1


@pytest.mark.parametrize("cell", [["red", "blue"], {"A": "red", "B": "blue"}])
def test_choices_that_the_question_does_not_show_are_named_in_the_log(root, cell, caplog):
    rows = [
        as_row("prompts", question="Which?", answer="B", options=cell),
        as_row("prompts", question="Which, red or blue?", answer="B", options=cell),
        as_row("prompts", question="Which?", answer="blue", options=cell),
    ]
    assert len(outcome("prompts", root, rows)) == 3
    assert "1 rows have choices that their question does not show, in `options`" in caplog.text


@pytest.mark.parametrize(
    ("answer", "read"),
    [("One and two.\n#### 3", "3"), ("#### 1,000", "1,000"), ("#### Step 1\nx = 3", "#### Step 1\nx = 3")],
)  # fmt: skip
def test_the_last_line_of_a_solution_as_gsm8k_ends_it_is_the_answer(root, answer, read):
    [prompt] = outcome("prompts", root, [as_row("prompts", answer=answer)])
    assert prompt.answer == read


def test_an_answer_with_a_broken_backslash_is_refused(root):
    row = as_row("prompts", answer="\x08oxed{3}")
    assert "row 0: answer: the control character '\\x08'" in outcome("prompts", root, [row])


def test_a_turn_with_two_texts_is_refused(root):
    turns = [{"role": "user", "content": "q", "value": "z"}, {"role": "assistant", "content": RESPONSE}]  # fmt: skip
    assert "has two texts" in outcome("demonstrations", root, [{"messages": json.dumps(turns)}])


def test_a_file_uri_of_a_name_is_read(root):
    [prompt] = outcome("prompts", root, [as_row("prompts", images="file://a.png")])
    assert len(prompt.images) == 1
