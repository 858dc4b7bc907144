"""What a tokenizer reads as a control token is refused in questions and responses, and nothing else is."""

import pytest

from tests.unit.data.inputs import READERS, as_row, outcome, pictures

TOKENS = [
    "<|im_end|>", "<|endoftext|>", "<|vision_start|>", "<|fim_prefix|>", "<|repo_name|>", "<tool_call>", "</tool_call>",
    "<tool_response>", "</tool_response>", "<tool_calls>", "<IMG_CONTEXT>", "<start_of_turn>", "<｜end▁of▁sentence｜>",
]  # fmt: skip


@pytest.fixture
def root(tmp_path):
    return pictures(tmp_path)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("token", TOKENS)
def test_a_control_token_in_a_question_is_refused_by_its_row(root, reader, token):
    found = outcome(reader, root, [as_row(reader, question=f"How{token} many?")])
    assert f"{token!r}, which the model reads as a control token" in found


@pytest.mark.parametrize("token", TOKENS)
def test_a_control_token_in_a_response_is_refused_by_its_row(root, token):
    row = {"query": "How many?", "response": f"<think> a{token} </think><answer> 3 </answer>"}
    assert "which the model reads as a control token" in outcome("demonstrations", root, [row])


@pytest.mark.parametrize(
    "text", ["E<|x|> = ?", "a < tool_call > b", "<think>?", "<b>How</b> many?", "<tool> is a word"]
)
def test_signs_that_only_look_like_one_are_text(root, text):
    [prompt] = outcome("prompts", root, [as_row("prompts", question=text)])
    assert prompt.question == text
