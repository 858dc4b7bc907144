"""Readers of source data, on rows made after the published schemas."""

import json

import pytest

from tests.unit.bridging.builders import picture
from vr1_ray.bridging.intake import block_lines, take_in
from vr1_ray.bridging.readers import BadRow, reader_named
from vr1_ray.bridging.rows import row_from_json
from vr1_ray.config import BridgeConfig, BridgeSourceConfig, ConfigError
from vr1_ray.data.refusals import DataError
from vr1_ray.figure_math.dataset import write_split

LLAVA_RESPONSE = (
    "<SUMMARY> I will count. </SUMMARY>\n\n<CAPTION> Two cats. </CAPTION>\n\n"
    "<REASONING> One, two. </REASONING>\n\n<CONCLUSION> B </CONCLUSION>"
)
MULBERRY_ASKED = (
    "Generate an image description based on the question.\nFormat:\n### Image Description:\n### Rationales:\n"
    "### Let's think step by step.\n### Step 1:\n...\n### The final answer is:\n\nQuestion: How many?\nA. 1\nB. 2"
)
MULBERRY_RESPONSE = (
    "### Image Description:\nTwo cats.\n\n### Rationales:\nCount.\n\n### Let's think step by step.\n\n"
    "### Step 1:\nOne, two. The final answer is: not yet\n\n### The final answer is:\nB"
)


def turns(question, response, keys=("from", "value"), roles=("human", "gpt")):
    return [{keys[0]: roles[0], keys[1]: question}, {keys[0]: roles[1], keys[1]: response}]


def write_lines(path, rows):
    path.write_text("".join(json.dumps(item) + "\n" for item in rows))
    return path


def test_llava_cot_takes_the_first_turn_and_its_caption_and_reasoning(tmp_path):
    several = turns("How many?", LLAVA_RESPONSE) + turns("And dogs?", LLAVA_RESPONSE)
    path = write_lines(
        tmp_path / "train.jsonl",
        [
            {"id": "u1", "image": "coco/1.jpg", "conversations": several},
            {"id": "u2", "image": "coco/2.jpg", "conversations": turns("How many?", "Two.")},
            {"id": "u3", "conversations": turns("How many?", LLAVA_RESPONSE)},
        ],
    )
    good, no_conclusion, no_image = reader_named("llava_cot")(path)
    assert (good.source_id, good.question, good.answer) == ("u1", "How many?", "B")
    assert good.images == ("coco/1.jpg",)
    assert good.pseudo_cot == "Caption: Two cats.\nReasoning: One, two."
    assert isinstance(no_conclusion, BadRow)
    assert "no <CONCLUSION>" in no_conclusion.reason
    assert no_image == BadRow(number=2, reason="image: None is no path")


def test_mulberry_finds_question_and_last_answer_in_a_streamed_array(tmp_path):
    messages = turns(MULBERRY_ASKED, MULBERRY_RESPONSE, ("role", "content"), ("user", "assistant"))
    path = tmp_path / "mulberry_sft.json"
    path.write_text(json.dumps([{"images": "AI2D/1.png", "messages": messages}]))
    [row] = reader_named("mulberry")(path)
    assert row.question == "How many?\nA. 1\nB. 2"
    assert (row.answer, row.images) == ("B", ("AI2D/1.png",))
    assert row.pseudo_cot.startswith("Caption: Two cats.\nReasoning: Rationales:\nCount.")


def test_a_json_array_that_breaks_off_is_an_error_that_names_the_file(tmp_path):
    path = tmp_path / "mulberry_sft.json"
    path.write_text('[{"images": "1.png", "messages": [')
    with pytest.raises(DataError, match=r"mulberry_sft.json is no whole JSON array"):
        list(reader_named("mulberry")(path))


def test_geometry3k_reads_what_figure_math_writes(tmp_path):
    path = write_split(tmp_path, "train", 0, 3)
    rows = list(reader_named("geometry3k")(path))
    assert len(rows) == 3
    assert rows[0].question.startswith("<image>")
    assert rows[0].images[0].startswith(b"\x89PNG")
    assert set(rows[0].metadata) == {"family", "figure"}


def test_an_unknown_reader_is_named_with_the_known_ones():
    known = "known: geometry3k, jsonl, llava_cot, mulberry"
    with pytest.raises(ValueError, match=f"bridge.sources.reader='csv' is unknown; {known}"):
        reader_named("csv")
    assert reader_named("vr1_ray.bridging.readers.jsonl:read_jsonl") is reader_named("jsonl")


def test_intake_lists_bad_rows_and_repeated_ones_and_cuts_blocks(tmp_path):
    path = write_lines(
        tmp_path / "own.jsonl",
        [
            {"question": "How many?", "answer": 3, "image": "1.png", "id": "a", "level": "easy"},
            {"question": "How many?", "answer": "3", "image": "1.png", "id": "b"},
            {"question": "How many?", "answer": " ", "image": "1.png"},
            {"question": "<image><image>How many?", "answer": "3", "image": "1.png"},
            {"question": "How wide?", "answer": "3", "image": "1.png"},
            {"question": "How high?", "answer": "3", "image": "1.png"},
        ],
    )
    path.write_text(path.read_text() + "no json\n")
    source = BridgeSourceConfig(reader="jsonl", path=str(path))
    intake = take_in(BridgeConfig(sources=[source], rows_per_block=2), tmp_path / "run")
    assert (intake.num_read, intake.num_rows, intake.num_bad) == (7, 3, 4)
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "run/bad_rows.jsonl").open()]
    assert reasons[0] == "the same question came before"
    assert reasons[1].startswith("no question, answer or image")
    assert reasons[2].startswith("question: 2 <image> marks for 1 images")
    assert reasons[3].startswith("no JSON")
    blocks = [block_lines(intake.path, offset, 2) for offset in intake.offsets]
    assert [len(block) for block in blocks] == [2, 1]
    rows = [row_from_json(line) for block in blocks for line in block]
    assert [row.index for row in rows] == [0, 1, 2]
    assert rows[0].question == "<image>How many?"
    assert rows[0].metadata == {"level": "easy"}


def test_pictures_in_bytes_are_written_once(tmp_path):
    write_split(tmp_path, "train", 0, 4)
    source = BridgeSourceConfig(reader="geometry3k", path=str(tmp_path / "train.parquet"))
    intake = take_in(BridgeConfig(sources=[source], max_rows=3), tmp_path / "run")
    assert intake.num_rows == 3
    assert len(list((tmp_path / "run/images").iterdir())) == 3
    row = row_from_json(block_lines(intake.path, 0, 1)[0])
    assert (tmp_path / "run/images" / row.images[0]).read_bytes()[:4] == picture()[:4]


def test_no_usable_row_is_an_error(tmp_path):
    path = write_lines(tmp_path / "own.jsonl", [{"question": "How many?"}])
    source = BridgeSourceConfig(reader="jsonl", path=str(path))
    with pytest.raises(DataError, match="none of 1 row can be used"):
        take_in(BridgeConfig(sources=[source]), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"bridge.sources: empty"):
        take_in(BridgeConfig(), tmp_path / "run")
