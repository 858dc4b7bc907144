"""The forms that people have: recognised by their columns, and said in one line of the log."""

import json
import logging
import re
from pathlib import Path

import pytest

from tests.unit.data.inputs import BLUE, RED, RESPONSE, outcome, pictures, read, write_rows
from vr1_ray.config import DataConfig
from vr1_ray.data import DataError, load_prompts

CHAT = [{"role": "user", "content": "<image>How many?"}]
TURNS = [{"from": "human", "value": "<image>How many?"}, {"from": "gpt", "value": RESPONSE}]
PARTS = [{"type": "image", "image": "a.png"}, {"type": "text", "text": "How many?"}]


@pytest.fixture
def root(tmp_path):
    return pictures(tmp_path)


# A row of each form, the same question of each, and what the log says of it.
PROMPTS = {
    "geometry3k": ({"problem": "<image>How many?", "images": ["a.png"], "answer": "3"}, ""),
    "question": ({"question": "<image>How many?", "image": "a.png", "answer": "3"}, "read as question, pictures from `image`, answers from `answer`"),
    "swift": ({"messages": CHAT, "images": ["a.png"], "solution": "<answer> 3 </answer>"}, "read as chat messages, pictures from `images`, answers from `solution`"),
    "verl": ({"data_source": "x", "prompt": CHAT, "images": [{"path": "a.png"}], "reward_model": {"style": "rule", "ground_truth": "3"}}, "read as a chat prompt (verl, TRL), pictures from `images`, answers from `reward_model`"),
    "TRL": ({"prompt": [{"role": "user", "content": PARTS}], "solution": "3"}, "read as a chat prompt (verl, TRL), pictures from `prompt`, answers from `solution`"),
    "TRL with a column of pictures": ({"prompt": [{"role": "user", "content": [{"type": "image"}, PARTS[1]]}], "images": ["a.png"], "ground_truth": 3}, "answers from `ground_truth`"),
    "OpenAI": ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a.png"}}, PARTS[1]]}], "answer": "3"}, "read as chat messages"),
    "query and response": ({"query": "<image>How many?", "response": "3", "images": "a.png"}, "read as query and response, pictures from `images`, answers from `response`"),
    "ShareGPT": ({"conversations": TURNS, "image": "a.png"}, "read as ShareGPT, pictures from `image`, answers from `conversations`"),
    "ShareGPT as JSON text": ({"conversations": json.dumps(TURNS), "images": '["a.png"]'}, "read as ShareGPT, pictures from `images`"),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("name", PROMPTS)
def test_prompts_of_every_form_are_the_same_prompt(root, name, suffix, caplog):
    row, said = PROMPTS[name]
    with caplog.at_level(logging.INFO):
        [prompt] = outcome("prompts", root, [row], suffix)
    assert (prompt.question, prompt.answer) == ("<image>How many?", "3")
    assert [image.data for image in prompt.images] == [RED]
    assert said in caplog.text
    assert ("read as" in caplog.text) == bool(said)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize(
    "row",
    [
        {"conversations": TURNS, "image": "a.png"},
        {"conversations": json.dumps(TURNS), "images": "a.png"},
        {"messages": [*CHAT, {"role": "assistant", "content": RESPONSE}], "images": ["a.png"]},
        {"messages": [{"role": "user", "content": PARTS}, {"role": "assistant", "content": [{"type": "text", "text": RESPONSE}]}]},
        {"query": "<image>How many?", "response": RESPONSE, "images": ["a.png"]},
        {"problem": "<image>How many?", "response": RESPONSE, "images": ["a.png"]},
        {"question": "<image>How many?", "response": RESPONSE, "image": "a.png"},
        {"prompt": CHAT, "completion": [{"role": "assistant", "content": RESPONSE}], "images": ["a.png"]},
    ],
)  # fmt: skip
def test_demonstrations_of_every_form_are_the_same_demonstration(root, row, suffix):
    [found] = read("demonstrations", write_rows(root, [row], suffix))
    assert (found.prompt.question, found.prompt.answer, found.response) == (
        "<image>How many?",
        "3",
        RESPONSE,
    )
    assert [image.data for image in found.prompt.images] == [RED]


def test_a_literal_mark_between_content_parts_stays_a_text(root):
    parts = [*PARTS[:1], {"type": "text", "text": "What does <image> do?"}]
    row = {"messages": [{"role": "user", "content": parts}], "answer": "3"}
    [prompt] = outcome("prompts", root, [row])
    assert prompt.question == r"<image>What does \<image> do?"


def test_pictures_in_parts_and_in_a_column_are_refused(root):
    row = {"messages": [{"role": "user", "content": PARTS}], "images": ["b.png"], "answer": "3"}
    assert "images: pictures stand here and in the chat's content" in outcome(
        "prompts", root, [row]
    )


def test_every_row_of_the_page_on_your_data_is_read(root):
    page = (Path(__file__).parents[3] / "examples" / "your_data" / "README.md").read_text()
    rows = [
        (json.loads(row), where) for row, where in re.findall(r"\| `(\{.*\})` \| (.*) \|", page)
    ]
    assert len(rows) == 7
    for row, where in rows:
        reader = "prompts" if where.startswith("prompts") else "demonstrations"
        if "the same" in where:
            where = rows[4][1]
        [prompt] = outcome(reader, root, [row])
        assert prompt.question == "<image>How many?"
        if "prompts" in where and "..." not in str(row):
            [prompt] = outcome("prompts", root, [row])
            assert prompt.answer == "3"


def test_forms_may_stand_mixed_in_one_file(root):
    rows = [row for row, _ in PROMPTS.values()]
    assert len(outcome("prompts", root, rows)) == len(rows)


def test_a_response_beside_an_answer_is_left_out_and_told(root, caplog):
    row = {
        "messages": [*CHAT, {"role": "assistant", "content": "x"}],
        "images": "a.png",
        "answer": 4,
    }
    [prompt] = outcome("prompts", root, [row])
    assert prompt.answer == "4"
    assert "1 rows have a response, which is not used" in caplog.text


def test_a_response_that_says_no_answer_is_no_reference(root):
    row = {"query": "q", "response": "Well, " + "it is a long story. " * 9}
    assert "response: 'Well, " in outcome("prompts", root, [row])


@pytest.mark.parametrize("column", ["reward_model", "reward_model.ground_truth"])
def test_the_column_of_a_struct_can_be_named(root, column):
    row = {"problem": "q", "answer": "no", "reward_model": {"ground_truth": 7}}
    [prompt] = outcome("prompts", root, [row], answer_column=column)
    assert prompt.answer == "7"


def test_columns_named_on_purpose_are_not_guessed(root):
    row = {"problem": "q", "question": "p", "answer": "1", "solution": "2"}
    assert "no column 'gold', only" in outcome("prompts", root, [row], answer_column="gold")
    [prompt] = outcome("prompts", root, [row], prompt_column="question", answer_column="solution")
    assert (prompt.question, prompt.answer) == ("p", "2")


@pytest.mark.parametrize("splits", [True, False])
def test_a_folder_of_save_to_disk_is_read(root, splits, caplog):
    import datasets

    rows = [{"problem": "<image>q", "answer": 3, "images": [{"bytes": RED, "path": None}]}]
    features = datasets.Features(
        {"problem": datasets.Value("string"), "answer": datasets.Value("int64"), "images": datasets.List(datasets.Image())}
    )  # fmt: skip
    saved = datasets.Dataset.from_list(rows, features=features)
    folder = root / "saved"
    (datasets.DatasetDict({"train": saved}) if splits else saved).save_to_disk(str(folder))
    with caplog.at_level(logging.INFO):
        [prompt] = load_prompts(DataConfig(), str(folder), "train")
    assert (prompt.answer, prompt.images[0].data) == ("3", RED)
    assert "read as saved by save_to_disk" in caplog.text
    if splits:
        with pytest.raises(DataError, match="has no split 'test', only train"):
            load_prompts(DataConfig(), str(folder), "test")


def test_the_folder_of_a_run_that_drew_its_data_is_read_by_its_splits(root):
    (root / "train.jsonl").write_text(json.dumps({"problem": "q", "answer": "3"}))
    (root / "state.json").write_text('{"state": "finished"}')  # what every run leaves in its folder
    assert [p.answer for p in load_prompts(DataConfig(), str(root), "train")] == ["3"]


@pytest.mark.parametrize("place", ["", "train"])
@pytest.mark.parametrize("name", ["metadata.jsonl", "metadata.csv"])
def test_an_imagefolder_is_read_by_its_metadata(root, place, name, caplog):
    folder = root / "images" / place
    folder.mkdir(parents=True)
    (folder / "c.png").write_bytes(BLUE)
    text = "file_name,problem,answer\nc.png,q,3\n"
    if name.endswith("jsonl"):
        text = json.dumps({"file_name": "c.png", "problem": "q", "answer": "3"})
    (folder / name).write_text(text)
    with caplog.at_level(logging.INFO):
        [prompt] = load_prompts(DataConfig(), str(root / "images"), "train")
    assert (prompt.question, prompt.answer, prompt.images[0].data) == ("<image>q", "3", BLUE)
    assert "read as imagefolder" in caplog.text
    assert "pictures from `file_name`" in caplog.text


def test_pictures_in_folders_of_classes_are_refused_with_what_they_lack(root):
    (root / "classes" / "cat").mkdir(parents=True)
    (root / "classes" / "cat" / "1.png").write_bytes(RED)
    with pytest.raises(
        DataError, match=r"pictures in folders have no questions; write metadata\.jsonl"
    ):
        load_prompts(DataConfig(), str(root / "classes"), "train")


def test_shards_are_read_in_order_and_a_bad_row_is_named_by_its_shard(root):
    for shard in range(2):
        rows = [{"problem": "q", "answer": f"{shard}{n}"} for n in range(2)]
        (root / f"train-{shard}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert [p.answer for p in load_prompts(DataConfig(), str(root), "train")] == ["00", "01", "10", "11"]  # fmt: skip
    (root / "train-1.jsonl").write_text(
        '{"problem": "q", "answer": "1"}\n{"problem": 7, "answer": "1"}'
    )
    with pytest.raises(DataError, match=r"row 3 \(row 1 of train-1\.jsonl\): problem: 7 is no"):
        load_prompts(DataConfig(), str(root), "train")


def test_a_json_column_of_mixed_types_kept_by_datasets_gives_its_values_back(root):
    import datasets

    (root / "mixed.jsonl").write_text(
        '{"problem": "q", "answer": "é"}\n{"problem": "q", "answer": 2.50}'
    )
    mixed = datasets.load_dataset("json", data_files=str(root / "mixed.jsonl"), split="train", cache_dir=str(root / "cache"))  # fmt: skip
    mixed.save_to_disk(str(root / "mixed"))
    assert [p.answer for p in load_prompts(DataConfig(), str(root / "mixed"), "train")] == ["é", "2.5"]  # fmt: skip
