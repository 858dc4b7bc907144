"""What a turn holds beside its text: a demonstration that would lose its thoughts is refused, not read without them."""

import json

import pytest

from tests.unit.data.inputs import RESPONSE, as_row, outcome, pictures

THOUGHT = "First I count."


@pytest.fixture
def root(tmp_path):
    return pictures(tmp_path)


def chat(**fields) -> list[dict]:
    return [
        {"role": "user", "content": "How many?"},
        {"role": "assistant", "content": RESPONSE, **fields},
    ]


LOST = [
    ("reasoning_content", THOUGHT),
    ("reasoning", THOUGHT),
    ("thinking", THOUGHT),
    ("reasoning_details", [{"type": "reasoning.text", "text": THOUGHT}]),
    ("tool_calls", [{"id": "1", "function": {"name": "zoom", "arguments": "{}"}}]),
    ("function_call", {"name": "zoom", "arguments": "{}"}),
]


@pytest.mark.parametrize(("name", "cell"), LOST)
@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("as_text", [False, True])
def test_a_demonstration_whose_turn_holds_more_of_its_response_is_refused(root, name, cell, suffix, as_text):  # fmt: skip
    turns = chat(**{name: cell})
    found = outcome("demonstrations", root, [{"messages": json.dumps(turns) if as_text else turns}], suffix)  # fmt: skip
    assert f"row 0: messages: a turn's {name}: " in found


@pytest.mark.parametrize(("name", "cell"), LOST)
def test_a_demonstration_whose_completion_holds_more_of_it_is_refused(root, name, cell):
    row = {"prompt": chat()[:1], "completion": [chat(**{name: cell})[1]]}
    assert f"row 0: completion: a turn's {name}: " in outcome("demonstrations", root, [row])


@pytest.mark.parametrize(("name", "cell"), LOST)
def test_a_demonstration_whose_column_holds_more_of_its_response_is_refused(root, name, cell):
    row = as_row("demonstrations") | {name: cell}
    assert f"row 0: {name}: " in outcome("demonstrations", root, [row])


def test_thoughts_that_the_response_holds_are_no_loss(root):
    row = as_row("demonstrations") | {"reasoning": "Okay."}
    assert len(outcome("demonstrations", root, [row])) == 1
    assert len(outcome("demonstrations", root, [{"messages": chat(reasoning_content="Okay.")}])) == 1  # fmt: skip


@pytest.mark.parametrize("empty", [None, "", [], " ", "[]", {"name": None}])
@pytest.mark.parametrize("name", ["reasoning_content", "tool_calls"])
def test_empty_fields_of_a_turn_are_no_matter(root, empty, name):
    assert len(outcome("demonstrations", root, [{"messages": chat(**{name: empty})}])) == 1


@pytest.mark.parametrize(("name", "value"), [("weight", 0), ("loss", False), ("train", "false")])
def test_a_response_that_is_not_to_be_learned_is_refused(root, name, value):
    found = outcome("demonstrations", root, [{"messages": chat(**{name: value})}])
    assert f"row 0: messages: a turn's {name}: {value!r} says that" in found
    assert len(outcome("demonstrations", root, [{"messages": chat(**{name: 1})}])) == 1


def test_a_prompt_needs_no_thoughts_of_another_models_response(root):
    [prompt] = outcome("prompts", root, [{"messages": chat(reasoning_content=THOUGHT), "answer": "3"}])  # fmt: skip
    assert prompt.question == "How many?"
    row = {"prompt": chat()[:1], "completion": [chat(reasoning_content=THOUGHT)[1]], "answer": "3"}
    assert len(outcome("prompts", root, [row])) == 1


@pytest.mark.parametrize("reader", ["prompts", "demonstrations", "questions"])
def test_other_fields_of_turns_are_named_in_the_log(root, reader, caplog):
    caplog.set_level("INFO")
    row = {"messages": chat(name="a teacher"), "answer": "3"}
    assert len(outcome(reader, root, [row, row])) == 2
    assert "2 rows have turns with more than a role and a text, which is not used: name" in caplog.text  # fmt: skip
