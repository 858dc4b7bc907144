"""Which files of a folder are a split: no file joins it by chance, none is left out in silence."""

import pytest

from vr1_ray.config import DataConfig
from vr1_ray.data import DataError, load_prompts


@pytest.fixture
def of_folder(tmp_path):
    """The answers of a folder with files of these names, each answer its file's name, or the message that refused it."""

    def load(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(f'{{"problem": "q", "answer": "{name}"}}')
        try:
            return [one.answer for one in load_prompts(DataConfig(), str(tmp_path), "train")]
        except DataError as error:
            return str(error)

    return load


@pytest.mark.parametrize(
    "names",
    [
        ["train.jsonl"],
        ["data/train.json"],
        ["train-0.jsonl", "train-1.jsonl"],
        ["train-1.jsonl", "train-2.jsonl", "train-10.jsonl"][:2],
        [f"train-{n}.jsonl" for n in range(12)],  # in the order of their numbers, not of their letters
        ["train-00000-of-00002.jsonl", "train-00001-of-00002.jsonl"],
        ["train-00000-of-00001-a09b74b3ef9c3b56.jsonl"],  # as the hub wrote them before 2023
        ["train_0.jsonl", "train_1.jsonl"],
        ["data/train-part-0.jsonl", "data/train-part-1.jsonl"],
    ],
)  # fmt: skip
def test_a_split_and_its_shards_are_read_in_order(of_folder, names):
    assert of_folder(*reversed(names)) == names


@pytest.mark.parametrize("other", ["train-old.jsonl", "train_backup.jsonl", "train.v1.jsonl"])
def test_a_file_named_like_a_split_is_left_alone_beside_it_and_that_is_said(of_folder, other, caplog):  # fmt: skip
    caplog.set_level("INFO")
    assert of_folder("train.jsonl", other) == ["train.jsonl"]
    assert f"split 'train': train.jsonl (not {other}, which is named like it)" in caplog.text


def test_the_files_that_were_read_are_told(of_folder, caplog):
    caplog.set_level("INFO")
    of_folder("train-0.jsonl", "train-1.jsonl", "test.jsonl")
    assert "read as split 'train': train-0.jsonl, train-1.jsonl\n" in caplog.text


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["train-0.jsonl", "train-old.jsonl"], "has train-old.jsonl beside the shards train-0.jsonl"),
        (["train-old.jsonl"], "train-old.jsonl in"),
        (["train-2024-05-01.jsonl"], "may be split 'train' or not"),
        (["train-2024.jsonl"], "numbers do not follow one another from 0 or 1"),
        (["train-0.jsonl", "train-2.jsonl"], "numbers do not follow one another from 0 or 1"),
        (["train-0.jsonl", "train-00.jsonl"], "numbers do not follow one another from 0 or 1"),
        (["train.jsonl", "train-0.jsonl"], "has train.jsonl and shards of it (train-0.jsonl)"),
        (["train.jsonl", "train.json"], "has split 'train' more than once, in train.jsonl and train.json"),
        (["train.jsonl", "data/train.jsonl"], "more than once, in train.jsonl and data/train.jsonl"),
        (["train-0-of-1.jsonl", "train-0-of-2.jsonl", "train-1-of-2.jsonl"], "shards of more than one set"),
        (["train-0-of-2.jsonl", "train-1.jsonl"], "shards of more than one set"),
        (["train-0-of-2-0123456789abcdef.jsonl", "train-0-of-2-1123456789abcdef.jsonl"], "has 1 of the 2 shards"),
        (["metadata.jsonl", "train.jsonl"], "has metadata.jsonl and train.jsonl"),
        (["metadata.jsonl", "metadata.csv"], "has metadata.jsonl and metadata.csv"),
    ],
)  # fmt: skip
def test_what_may_be_a_split_or_not_is_refused_by_its_files(of_folder, names, said):
    found = of_folder(*names)
    assert said in found
    assert found.startswith("data.train: ")


def test_a_file_that_begins_with_the_splits_letters_is_another_split(of_folder):
    assert of_folder("train.jsonl", "trainval.jsonl") == ["train.jsonl"]


@pytest.mark.parametrize(
    "names",
    [
        ["train-old.jsonl"],
        ["train-0.jsonl", "train-old.jsonl"],
        ["train.jsonl", "train-0.jsonl"],
        ["train.jsonl", "train.json"],
        ["train-0.jsonl", "train-2.jsonl"],
        ["metadata.jsonl", "train.jsonl"],
    ],
)
def test_the_cures_work_naming_the_file_and_moving_the_others(of_folder, tmp_path, names):
    assert "data.train: " in of_folder(*names)
    for name in names:
        [one] = load_prompts(DataConfig(), str(tmp_path / name), "train")
        assert one.answer == name
    for name in names[1:]:
        (tmp_path / name).unlink()
    if names[0] == "train-old.jsonl":
        (tmp_path / names[0]).rename(tmp_path / "train-0.jsonl")
    assert of_folder() == [names[0]]
