"""Rows that are odd on purpose: each keeps its value, or is refused in the one form of message, by row and cure."""

import gzip
import json
from dataclasses import fields

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.data.inputs import (
    READERS,
    RED_TEXT,
    RESPONSE,
    as_row,
    outcome,
    pictures,
    write_rows,
)
from vr1_ray.config import DataConfig
from vr1_ray.data import DataError, load_demonstrations, load_prompts
from vr1_ray.data.refusals import BadRows, RowProblems
from vr1_ray.data.rows import ReadRow

ROW = '{"problem": "q", "answer": "1"}'


@pytest.fixture
def root(tmp_path):
    return pictures(tmp_path)


def of_text(root, content: str | bytes, suffix: str = ".jsonl"):
    """The answers of a file with this content, or the message that refused it."""
    path = root / f"file{suffix}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        return [prompt.answer for prompt in load_prompts(DataConfig(), str(path), "train")]
    except DataError as error:
        return str(error)


def of_column(root, answers: pa.Array):
    """The answers of a parquet column, or the message that refused it."""
    path = root / "rows.parquet"
    pq.write_table(pa.table({"problem": ["q"] * len(answers), "answer": answers}), path)
    try:
        return [prompt.answer for prompt in load_prompts(DataConfig(), str(path), "train")]
    except DataError as error:
        return str(error)


def test_a_second_start_knows_the_right_answers_of_demonstrations(root):
    row = as_row("demonstrations") | {"answer": "7"}
    source = write_rows(root, [row])
    config = DataConfig(demonstrations=[source], index_folder=str(root / "index"))
    first, second = load_demonstrations(config), load_demonstrations(config)
    assert [item.reference for item in second] == ["7"]
    assert second == first


def test_the_index_keeps_every_field_of_a_row():
    """A new field of ReadRow has to be written into the index; `place` is made anew at each start."""
    kept = {"prompt", "response", "reference", "names", "own_id"}
    assert {field.name for field in fields(ReadRow)} == kept | {"place"}


@pytest.mark.parametrize("depth", [101, 300, 450, 900, 3000])
@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
@pytest.mark.parametrize(("opening", "closing"), ["[]", ('{"a":', "}")])
def test_cells_nested_without_end_are_refused_by_row(root, depth, suffix, opening, closing):
    cell = opening * depth + "1" + closing * depth
    row = f'{{"problem": "q", "answer": "1", "x": {cell}}}'
    found = of_text(root, f"[{row}]" if suffix == ".json" else row, suffix)
    assert "row 0: " in found
    assert "deep in one another" in found
    assert "over several lines" not in found


@pytest.mark.parametrize("depth", [150, 995, 5000])
@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_a_row_nested_without_end_spoils_no_other(root, depth, suffix, caplog):
    deep = f'{{"problem": "q", "answer": "]}}", "x": {"[" * depth}"]\\"}}"{"]" * depth}}}'
    rows = [ROW, deep, ROW, ROW]
    text = f"[{', '.join(rows)}]" if suffix == ".json" else "\n".join(rows)
    (root / f"rows{suffix}").write_text(text)
    config = DataConfig(bad_rows="skip", max_bad_rows=0.5, bad_rows_file=str(root / "bad.jsonl"))
    assert len(load_prompts(config, str(root / f"rows{suffix}"), "train")) == 3
    [bad] = map(json.loads, (root / "bad.jsonl").read_text().splitlines())
    assert bad["row"] == "row 1"
    assert "deep in one another" in bad["problem"]


def test_brackets_that_never_close_are_told_of_the_file(root):
    row = f'{{"problem": "q", "answer": "1", "x": {"[" * 3000}'
    assert "can't be read as JSON (brackets that are not closed)" in of_text(root, f"[{row}]", ".json")  # fmt: skip


def test_an_answer_in_json_text_nested_without_end_is_refused_by_its_column(root):
    text = '{"ground_truth": ' + "[" * 3000 + "]" * 3000 + "}"
    found = of_text(root, json.dumps({"problem": "q", "answer": text}))
    assert "row 0: answer: " in found
    assert "deep in one another" in found


def test_cells_nested_as_people_nest_them_are_kept(root):
    assert of_text(root, f'{{"problem": "q", "answer": "1", "x": {"[" * 90}{"]" * 90}}}') == ["1"]


@pytest.mark.parametrize("pair", ["1, true", "1, 1.0", "false, 0", '"1", 1'])
def test_a_key_that_stands_twice_with_other_spellings_is_refused(root, pair):
    first, second = pair.split(", ")
    found = of_text(root, f'{{"problem": "q", "answer": {first}, "answer": {second}}}')
    assert "row 0: answer: stands twice in one row" in found


def test_a_key_of_half_a_sign_is_refused_in_words(root):
    found = of_text(root, '{"problem": "q", "answer": "1", "k\\ud800": 1}')
    assert "row 0: key 'k\\ud800' has half of a sign" in found


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(ROW.encode(), mtime=0), "file.jsonl is a gzip file; unpack it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a git-lfs pointer, not the file itself"),
        (b"<!DOCTYPE html><title>404</title>", "is an HTML page, as a failed download leaves it"),
        (b"\0" * 50, "is filled with zeros; copy or download it again"),
        (ROW.encode("utf-16-le"), "is UTF-16 or UTF-32 text; save it as UTF-8"),
        (ROW.encode("utf-32"), "is UTF-16 or UTF-32 text; save it as UTF-8"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
def test_what_is_no_file_of_rows_is_called_what_it_is(root, content, said, suffix):
    if suffix == ".parquet" and "UTF" in said:
        said = "can't be read"
    assert said.replace(".jsonl", suffix) in of_text(root, content, suffix)


def test_narrow_floats_keep_their_digits_in_lists_and_structs_too(root):
    narrow = pa.float32()
    in_list = pa.array([[0.5, 0.1]], pa.list_(narrow))
    in_struct = pa.array([{"ground_truth": 2.7}], pa.struct([("ground_truth", narrow)]))
    assert of_column(root, in_list) == ["0.5, 0.1"]
    assert of_column(root, in_struct) == ["2.7"]
    assert of_column(root, pa.array([None, None], in_struct.type))[:10] == "data.train"


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_float_without_a_value_is_no_answer_whatever_its_width(root, kind, value):
    import numpy as np

    cells = pa.array(np.array([value], dtype=kind.to_pandas_dtype()))
    assert f"answer: {value} is no reference answer" in of_column(root, cells)


def test_whole_narrow_floats_are_told(root, caplog):
    assert of_column(root, pa.array([3.0], pa.float32())) == ["3.0"]
    assert "1 reference answers are whole numbers in a column of floats" in caplog.text


def test_a_date_that_python_lacks_is_refused_by_file(root):
    table = pa.table({"problem": ["q"], "answer": ["1"], "day": pa.array([10**8], pa.date32())})
    pq.write_table(table, root / "rows.parquet")
    with pytest.raises(DataError, match=r"rows.parquet can't be read \(date value out of range\)"):
        load_prompts(DataConfig(), str(root / "rows.parquet"), "train")


LOST = {
    "figure": RED_TEXT,
    "image_b64": "anything",
    "image-path": "a",
    "figures": '["a.png", "b.png"]',
    "media": [{"type": "image_url", "image_url": {"url": "a"}}],
    "screenshot": {"url": "a.png"},
    "frames": [None, "a.png"],
    "link": "https://example.org/a.png?size=2",
    "scan": "a.heic",
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("column", LOST)
def test_a_picture_in_any_form_in_another_column_is_not_lost(root, reader, column):
    found = outcome(reader, root, [as_row(reader, **{column: LOST[column]})])
    assert f"row 0: {column}: column '{column}' holds pictures" in found


TEXTS = {
    "image_size": [2, 3],
    "image_caption": "a cat",
    "source": "What is shown in a.png? Say it.",
    "notes": "[1] iVBORw0KGgo is how a PNG begins",
    "kind": {"type": "geometry", "url": "none"},
}


@pytest.mark.parametrize("column", TEXTS)
def test_a_column_about_pictures_that_holds_none_is_no_lost_picture(root, column):
    [prompt] = outcome("prompts", root, [as_row("prompts", **{column: TEXTS[column]})])
    assert prompt.metadata == {column: TEXTS[column]}


@pytest.mark.parametrize("reader", READERS)
def test_a_picture_beside_the_content_of_a_turn_is_not_lost(root, reader):
    turns = [{"role": "user", "content": "q", "images": ["a.png"]}]
    turns += [{"role": "assistant", "content": "3"}]
    found = outcome(reader, root, [{"messages": turns}])
    assert "row 0: messages: a turn has pictures in 'images' (['a.png']); write them as" in found


@pytest.mark.parametrize(("share", "total", "bad"), [(0.29, 100, 29), (0.07, 100, 7), (0.57, 100, 57), (0.1, 30, 3)])  # fmt: skip
def test_a_share_of_bad_rows_holds_to_the_row(tmp_path, share, total, bad):
    def skip(number: int) -> None:
        policy = BadRows(policy="skip", max_share=share, file=str(tmp_path / "bad"))
        problems = RowProblems("data.train", "rows.jsonl", policy)
        for row in range(number):
            problems.add(row, "answer: empty")
        problems.raise_if_any(total)

    skip(bad)
    with pytest.raises(DataError, match=f"{bad + 1} of {total} rows are more than the share"):
        skip(bad + 1)


def test_a_list_of_bad_rows_that_cannot_be_written_is_refused_by_its_setting(root):
    rows = [as_row("prompts"), as_row("prompts", answer="")]
    found = outcome("prompts", root, rows, bad_rows="skip", max_bad_rows=0.5, bad_rows_file=str(root))  # fmt: skip
    assert found.startswith(f"data.bad_rows_file: {root} can't be written (")


@pytest.mark.parametrize("spoiled", ["", "[" * 5000, "\0" * 9, "3", '{"x": 1}', "[1, 2]"])
def test_a_spoiled_index_costs_a_reading_alone(root, spoiled):
    config = DataConfig(index_folder=str(root / "index"))
    source = write_rows(root, [as_row("prompts", images="a.png")])
    first = load_prompts(config, source, "train")
    [index] = (root / "index").glob("*.jsonl")
    index.write_text(index.read_text().split("\n")[0] + "\n" + spoiled + "\n")
    assert load_prompts(config, source, "train") == first
    index.unlink()
    index.mkdir()
    assert load_prompts(config, source, "train") == first


def test_pictures_from_texts_are_held_where_the_index_folder_cannot_be_written(root, caplog):
    caplog.set_level("INFO")
    (root / "index").write_text("a file")
    source = write_rows(root, [as_row("prompts", images=RED_TEXT)])
    [prompt] = load_prompts(DataConfig(index_folder=str(root / "index")), source, "train")
    assert prompt.images[0].decode().size == (8, 6)
    assert "1 pictures from texts are held in memory, for data.index_folder can't be" in caplog.text


def test_a_missing_shard_is_refused_by_what_the_others_are_called(root):
    for number in (0, 2):
        (root / f"train-0000{number}-of-00003.jsonl").write_text(ROW)
    with pytest.raises(DataError, match="has 2 of the 3 shards that their names tell of"):
        load_prompts(DataConfig(), str(root), "train")
    (root / "train-00001-of-00003.jsonl").write_text(ROW)
    assert len(load_prompts(DataConfig(), str(root), "train")) == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("problem,answer,answer\nq,1,2\n", "metadata.csv has the column answer twice; rename one"),
        ("problem,answer\nq,1,000\n", "row 0: has more cells than columns (['000']); put a cell"),
    ],
)
def test_a_csv_whose_cells_are_not_its_columns_is_refused(root, content, said):
    (root / "metadata.csv").write_text(content)
    with pytest.raises(DataError) as error:
        load_prompts(DataConfig(), str(root), "train")
    assert said in str(error.value)


def test_a_path_that_is_too_long_is_refused_by_its_setting():
    with pytest.raises(DataError, match=r"data.train: 'aaa.* is no path \(File name too long\)"):
        load_prompts(DataConfig(), "a" * 5000, "train")


TURNS = [{"role": "user", "content": "q"}, {"role": "assistant", "content": RESPONSE}]


@pytest.mark.parametrize(
    "empty",
    [
        {"conversations": None},
        {"conversations": []},
        {"messages": None, "query": "q", "response": RESPONSE},
        {"prompt": None, "completion": None},
    ],
)
@pytest.mark.parametrize("reader", ["prompts", "demonstrations"])
def test_an_empty_column_of_another_form_is_passed_over(root, reader, empty):
    row = {"messages": TURNS, "answer": "3"} | empty
    [prompt] = outcome(reader, root, [row])
    assert (prompt.question, prompt.answer) == ("q", "3")


@pytest.mark.parametrize("reader", ["prompts", "demonstrations"])
def test_two_responses_in_one_row_are_refused(root, reader):
    found = outcome(reader, root, [{"prompt": TURNS, "completion": RESPONSE, "answer": "3"}])
    assert "row 0: completion: a response stands here and in the chat of `prompt`" in found


def test_a_response_that_is_the_turn_of_a_user_is_refused(root):
    row = {"prompt": "q", "completion": [{"role": "user", "content": RESPONSE}]}
    assert "row 0: completion: [{" in outcome("demonstrations", root, [row])
    row["completion"] = [{"content": RESPONSE}]
    assert len(outcome("demonstrations", root, [row])) == 1


def test_a_mark_that_an_escape_leaves_beside_numbered_ones_is_counted(root):
    row = as_row("prompts", question="<image_1> or \\\\<image>?", images="a.png")
    assert "row 0: problem: 2 <image> marks for 1 images" in outcome("prompts", root, [row])
