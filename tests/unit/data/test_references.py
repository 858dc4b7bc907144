"""Pictures by reference, and what is remembered of them: checked once, read where they are used, refused when changed."""

import json
import os
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.data.inputs import BLUE, RED, RED_TEXT, RESPONSE, write_rows
from vr1_ray.config import DataConfig
from vr1_ray.data import DataError, load_demonstrations, load_prompts, reading
from vr1_ray.data import stored as stored_module
from vr1_ray.data.reading import read_table
from vr1_ray.data.rows import PROMPTS
from vr1_ray.data.stored import StoredCell, StoredFile, sample_files, unlike_here
from vr1_ray.data.tables import Table, dataset_part
from vr1_ray.data.workers import WorkerLostError, Workers
from vr1_ray.types import Prompt, held_here

OPENED: list[str] = []
sys.addaudithook(lambda event, args: OPENED.append(str(args[0])) if event == "open" else None)
RED_PIXEL = (255, 0, 0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for number in range(4):
        (tmp_path / "data" / f"{number}.png").write_bytes(RED + bytes(number))
    return tmp_path / "data"


@pytest.fixture
def config(tmp_path: Path) -> DataConfig:
    return DataConfig(
        index_folder=str(tmp_path / "index"), bad_rows_file=str(tmp_path / "bad.jsonl")
    )


def rows_of(number: int) -> list[dict]:
    return [
        {"problem": f"<image>Question {n}?", "answer": str(n), "images": [f"{n % 4}.png"], "n": n}
        for n in range(number)
    ]


def load(config: DataConfig, source: str, **settings) -> list[Prompt]:
    return load_prompts(replace(config, **settings), source, "train")


def opened_pictures() -> list[str]:
    return [path for path in OPENED if path.endswith((".png", ".parquet", ".arrow"))]


def overwrite(path: Path, data: bytes, *, keep_stamp: bool) -> None:
    before = path.stat()
    path.write_bytes(data)
    if keep_stamp:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000_000))


def test_a_prompt_holds_the_path_of_its_picture_and_travels_without_the_bytes(root, config):
    (root / "0.png").write_bytes(RED + bytes(100_000))
    [prompt] = load(config, write_rows(root, rows_of(1)))
    [image] = prompt.images
    assert image.source == StoredFile(
        path=str(root / "0.png"), where=f"data.train: {root}/rows.jsonl, row 0"
    )
    assert image.size == (8, 6)
    assert len(pickle.dumps(prompt)) < 1000
    travelled = pickle.loads(pickle.dumps(prompt))
    assert travelled == prompt
    assert travelled.images[0].decode().getpixel((0, 0)) == RED_PIXEL
    assert travelled.images[0].data == RED + bytes(100_000)


def test_for_a_node_that_does_not_see_the_file_a_prompt_is_given_its_bytes(root, config):
    [prompt] = load(config, write_rows(root, rows_of(1)))
    held = held_here(prompt)
    (root / "0.png").unlink()
    assert held == prompt
    assert held.images[0].decode().size == (8, 6)
    assert held.images[0].named().data == b""


def test_other_content_than_was_checked_is_refused_by_row_wherever_it_is_read(root, config):
    prompts = load(config, write_rows(root, rows_of(2)))
    overwrite(root / "1.png", BLUE + b"\0", keep_stamp=True)
    with pytest.raises(ValueError, match=r"rows.jsonl, row 1: .*1.png is not the picture that was"):
        prompts[1].images[0].decode()
    with pytest.raises(ValueError, match="row 1"):
        held_here(prompts[1])
    assert prompts[0].images[0].decode().size == (8, 6)


def test_a_picture_that_is_gone_is_refused_by_row_with_the_cure(root, config):
    prompts = load(config, write_rows(root, rows_of(2)))
    (root / "1.png").unlink()
    with pytest.raises(DataError, match=r"row 1: .*1.png can't be read here .*mount its folder"):
        prompts[1].images[0].decode()


def test_a_second_start_opens_no_picture_and_gives_the_same_prompts(root, config):
    source = write_rows(root, rows_of(4))
    first = load(config, source)
    OPENED.clear()
    second = load(config, source)
    assert opened_pictures() == []
    assert source not in OPENED
    assert second == first
    assert [image.source for prompt in second for image in prompt.images] == [
        image.source for prompt in first for image in prompt.images
    ]
    assert [prompt.metadata for prompt in second] == [{"n": n} for n in range(4)]


def test_demonstrations_come_back_with_their_responses(root, config):
    rows = [{"query": "<image>How many?", "response": RESPONSE, "images": "0.png"}]
    config = replace(config, demonstrations=[write_rows(root, rows)])
    first = load_demonstrations(config)
    OPENED.clear()
    assert load_demonstrations(config) == first
    assert first[0].response == RESPONSE
    assert opened_pictures() == []


def test_a_picture_with_another_time_is_checked_again_and_no_other(root, config):
    source = write_rows(root, rows_of(4))
    first = load(config, source)
    overwrite(root / "2.png", BLUE + bytes(2), keep_stamp=False)
    OPENED.clear()
    second = load(config, source)
    assert opened_pictures() == [str(root / "2.png")]
    assert [old == new for old, new in zip(first, second, strict=True)] == [True, True, False, True]
    assert second[2].images[0].decode().getpixel((0, 0)) == (0, 0, 255)


def test_a_picture_that_broke_since_the_last_start_is_refused_by_row(root, config):
    source = write_rows(root, rows_of(4))
    load(config, source)
    overwrite(root / "3.png", b"<html>", keep_stamp=False)
    with pytest.raises(DataError, match=r"row 3: images: 3.png can't be decoded: it is an HTML"):
        load(config, source)


def test_a_row_that_is_mended_costs_no_other_picture_a_second_look(root, config):
    rows = rows_of(4)
    rows[1]["answer"] = ""
    with pytest.raises(DataError, match="row 1: answer"):
        load(config, write_rows(root, rows))
    OPENED.clear()
    assert len(load(config, write_rows(root, [*rows_of(3), rows_of(4)[0]]))) == 4
    assert opened_pictures() == [str(root / "1.png")]


def test_a_row_that_was_left_out_is_read_again_at_the_next_start(root, config, tmp_path):
    (root / "2.png").unlink()
    source = write_rows(root, rows_of(4))
    skipping = {"bad_rows": "skip", "max_bad_rows": 0.5}
    for _ in range(2):  # the second start tells of it too
        assert [prompt.metadata["n"] for prompt in load(config, source, **skipping)] == [0, 1, 3]
        [line] = Path(config.bad_rows_file).read_text().splitlines()
        assert json.loads(line)["row"] == "row 2"
    (root / "2.png").write_bytes(RED)
    assert [prompt.metadata["n"] for prompt in load(config, source, **skipping)] == [0, 1, 2, 3]


def test_what_is_worth_a_line_is_told_at_each_start(root, config, caplog):
    rows = [{**row, "system": "Answer briefly."} for row in rows_of(2)]
    source = write_rows(root, rows)
    for _ in range(2):
        caplog.clear()
        load(config, source)
        assert "2 rows have a system text, which is not used" in caplog.text


def test_reading_fewer_rows_forgets_no_other(root, config):
    rows = rows_of(4)
    rows[0]["answer"] = None  # read again at each start
    source = write_rows(root, rows)
    skipping = {"bad_rows": "skip", "max_bad_rows": 0.5}
    load(config, source, **skipping)
    load(config, source, max_rows=2, **skipping)
    OPENED.clear()
    assert [p.metadata["n"] for p in load(config, source, **skipping)] == [1, 2, 3]
    assert opened_pictures() == [str(root / "0.png")]


@pytest.mark.parametrize(("first", "second"), [(2, 4), (4, 2), (2, 0), (2, 2)])
def test_fewer_or_more_rows_than_at_the_last_start_are_those_of_the_file(
    root, config, first, second
):
    source = write_rows(root, rows_of(4))
    load(config, source, max_rows=first)
    found = load(config, source, max_rows=second)
    assert [prompt.metadata["n"] for prompt in found] == list(range(second or 4))


def test_other_settings_read_the_rows_anew(root, config):
    source = write_rows(root, [row | {"other": "5"} for row in rows_of(2)])
    load(config, source)
    assert [p.answer for p in load(config, source, answer_column="other")] == ["5", "5"]
    assert [p.answer for p in load(config, source)] == ["0", "1"]


@pytest.mark.parametrize("damage", ["", "{", '{"version": 1}\n', "null\n"])
def test_an_index_that_is_broken_is_not_believed(root, config, damage):
    source = write_rows(root, rows_of(4))
    first = load(config, source)
    [index] = Path(config.index_folder).glob("*.jsonl")
    index.write_text(damage)
    assert load(config, source) == first
    whole = index.read_text()
    index.write_text(whole[: len(whole) // 2])
    assert load(config, source) == first


def test_an_index_that_cant_be_written_costs_a_line_in_the_log(root, config, tmp_path, caplog):
    (tmp_path / "index").write_text("a file, no folder")
    assert len(load(config, write_rows(root, rows_of(4)))) == 4
    assert "data.index_folder" in caplog.text


@pytest.mark.parametrize("kept_bytes", [0, 1 << 20])
def test_a_picture_in_a_parquet_file_is_read_from_its_row(root, config, kept_bytes, monkeypatch):
    monkeypatch.setattr(stored_module, "KEPT_BYTES", kept_bytes)
    rows = [
        {"problem": "<image>a<image>?", "answer": str(n), "images": [{"bytes": RED + bytes(n)}, {"bytes": BLUE + bytes(n)}]}
        for n in range(50)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), root / "train.parquet", row_group_size=20)
    first = load(config, str(root))
    assert first[45].images[1].source == StoredCell(
        path=str(root / "train.parquet"), row=45, column="images", index=1, where=f"data.train: {root}, row 45",
    )  # fmt: skip
    for prompts in (first, load(config, str(root))):
        assert [[image.data for image in prompt.images] for prompt in prompts] == [
            [RED + bytes(n), BLUE + bytes(n)] for n in range(50)
        ]


def test_of_a_shard_the_row_is_named_by_both_numbers_and_its_stamp_is_the_shards(root, config):
    for shard in range(2):
        rows = [
            {"problem": "<image>?", "answer": "1", "images": [{"bytes": RED + bytes(2 * shard + n)}]}
            for n in range(2)
        ]  # fmt: skip
        pq.write_table(pa.Table.from_pylist(rows), root / f"train-{shard}-of-2.parquet")
    first = load(config, str(root))
    assert first[3].images[0].source.where.endswith("row 3 (row 1 of train-1-of-2.parquet)")
    rows[1]["images"][0]["bytes"] = BLUE
    pq.write_table(pa.Table.from_pylist(rows), root / "train-1-of-2.parquet")
    with pytest.raises(
        ValueError, match=r"row 3 \(row 1 of .* is not the picture that was checked"
    ):
        first[3].images[0].decode()
    other = root / "train-0-of-2.parquet"
    overwrite(other, bytes(other.stat().st_size), keep_stamp=True)  # not opened, so not missed
    assert load(config, str(root))[3].images[0].data == BLUE


def test_a_picture_in_a_text_is_unpacked_once_and_again_if_it_was_removed(root, config):
    rows = [{"problem": "<image>?", "answer": "1", "images": [f"data:image/png;base64,{RED_TEXT}"]}]
    source = write_rows(root, rows)
    for _ in range(2):
        [prompt] = load(config, source)
        file = Path(prompt.images[0].source.path)
        assert file.is_relative_to(config.index_folder)
        assert prompt.images[0].data == RED
        file.unlink()
    [held] = load(replace(config, index_folder=""), source)[0].images
    assert held.source is None
    assert held.data == RED


def test_a_data_set_saved_to_disk_is_read_from_its_arrow_files(root, config):
    rows = {"problem": ["<image>?"] * 5, "answer": list("12345"), "images": [[{"bytes": RED + bytes(n), "path": None}] for n in range(5)]}  # fmt: skip
    saved = datasets.Dataset.from_dict(rows)
    saved.save_to_disk(str(root / "saved"), num_shards=2)
    found = load(config, str(root / "saved"))
    assert found[4].images[0].source.path.endswith("data-00001-of-00002.arrow")
    assert [prompt.images[0].data for prompt in found] == [RED + bytes(n) for n in range(5)]
    OPENED.clear()
    assert load(config, str(root / "saved")) == found


def test_a_data_set_that_is_shuffled_is_read_in_its_order(root, config):
    rows = {"problem": ["<image>?"] * 5, "answer": list("12345"), "images": [[{"bytes": RED + bytes(n), "path": None}] for n in range(5)]}  # fmt: skip
    part = dataset_part(datasets.Dataset.from_dict(rows).select([3, 1]), "shuffled")
    table = Table(source="shuffled", root=None, parts=iter([part]))
    found = [row.prompt for row in read_table(table, config, PROMPTS, "data.train")]
    assert [prompt.answer for prompt in found] == ["4", "2"]
    assert [prompt.images[0].data for prompt in found] == [RED + bytes(3), RED + bytes(1)]


def test_a_data_set_that_is_streamed_has_its_pictures_unpacked(root, config):
    rows = [{"problem": "<image>?", "answer": str(n), "images": [{"bytes": RED + bytes(n), "path": None}]} for n in range(9)]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), root / "train.parquet")
    stream = datasets.load_dataset(
        "parquet", data_files=str(root / "train.parquet"), split="train", streaming=True
    )
    for limit in (5, None):
        part = dataset_part(stream, "owner/name train", streaming=True)
        table = Table(source="owner/name", root=None, parts=iter([part]))
        found = [row.prompt for row in read_table(table, config, PROMPTS, "data.train", limit)]
        assert [prompt.answer for prompt in found] == [str(n) for n in range(limit or 9)]
        assert [p.images[0].data for p in found] == [RED + bytes(n) for n in range(limit or 9)]
    assert not list(Path(config.index_folder).glob("*.jsonl"))


@pytest.mark.slow
def test_many_rows_are_read_in_workers_with_the_same_outcome(root, config, monkeypatch):
    monkeypatch.setattr(reading, "FEW_ROWS", 20)
    rows = rows_of(203)
    rows[150]["images"] = ["absent.png"]
    rows[202]["answer"] = None
    source = write_rows(root, rows)
    skipping = {"bad_rows": "skip"}
    here = load(config, write_rows(root, rows, ".json"), **skipping)
    monkeypatch.setattr(reading, "FEW_ROWS", 10_000)
    there = load(replace(config, index_folder=""), source, **skipping)
    assert [prompt.metadata["n"] for prompt in here] == [n for n in range(202) if n != 150]
    assert here == there
    monkeypatch.setattr(reading, "FEW_ROWS", 20)
    with pytest.raises(DataError) as refused:
        load(replace(config, index_folder=""), source)
    lines = str(refused.value).splitlines()
    assert lines[1].startswith("  row 150: images: 'absent.png' is no file in")
    assert lines[2].startswith("  row 202: answer: None is no reference answer")


def test_a_worker_that_ends_is_told_with_its_cause_and_an_error_in_it_is_raised_here():
    with Workers(1) as workers:
        assert workers.submit(len, [1, 2, 3]).result(30) == 3
        with pytest.raises(ZeroDivisionError):
            workers.submit(divmod, 1, 0).result(30)
        with pytest.raises(WorkerLostError, match="exit code 3"):
            workers.submit(os._exit, 3).result(30)


@pytest.mark.slow
def test_rows_whose_check_ends_its_process_are_named(root, config, monkeypatch):
    monkeypatch.setattr(reading, "FEW_ROWS", 0)
    monkeypatch.setattr(reading, "read_rows_there", _end_process)
    with pytest.raises(DataError, match=r"rows.jsonl, row 0: a worker process ended with signal SIG") as refused:  # fmt: skip
        load(config, write_rows(root, rows_of(4)))
    assert "up to data.train" in str(refused.value)


def _end_process(*arguments) -> None:
    os.kill(os.getpid(), 9)


def test_one_file_of_each_folder_is_asked_for_and_told_if_it_is_not_as_here(root, config):
    prompts = load(config, write_rows(root, rows_of(4)))
    files = sample_files(image for prompt in prompts for image in prompt.images)
    assert files == {str(root / "0.png"): len(RED)}
    assert unlike_here(files) == []
    assert unlike_here({str(root / "0.png"): 1, "/absent": 5}) == [str(root / "0.png"), "/absent"]
