"""A row that would be text alone, though pictures stand somewhere in it, is refused by the place where they stand."""

import json

import pytest

from tests.unit.data.inputs import READERS, RED, RED_TEXT, as_row, outcome, pictures

BYTES = {"bytes": RED, "path": None}
INSIDE = [
    ("extra_info", {"image": {"path": "a.png"}}, "holds pictures"),
    ("extra_info", {"index": 3, "images": ["a.png"]}, "extra_info.images holds pictures"),
    ("extra_info", {"split": "train", "img_path": "a.png"}, "extra_info.img_path holds pictures"),
    ("metadata", {"source": {"figure": ["a.png"]}}, "metadata.source.figure holds pictures"),
    ("metadata", {"shots": [{"text": "x", "picture": "a.png"}]}, "metadata.shots[0].picture holds pictures"),
    ("metadata", {"thumb": RED_TEXT}, "metadata.thumb holds pictures"),
    ("metadata", [{"n": 1}, {"image": {"path": "a.png"}}], "metadata[1] holds pictures"),
    ("metadata", {"image": "the left one"}, "metadata.image holds pictures"),
]  # fmt: skip


@pytest.fixture
def root(tmp_path):
    return pictures(tmp_path)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("column", "cell", "said"), INSIDE)
@pytest.mark.parametrize("as_text", [False, True])
def test_pictures_inside_a_column_make_no_text_row(root, reader, column, cell, said, as_text):
    row = as_row(reader) | {column: json.dumps(cell) if as_text else cell}
    found = outcome(reader, root, [row])
    assert f"row 0: {column}: " in found
    assert said in found


@pytest.mark.parametrize("cell", [BYTES, {"image": BYTES}, {"a": {"photo": BYTES}}, {"raw": RED}])
def test_pictures_as_bytes_inside_a_parquet_column_make_no_text_row(root, cell):
    found = outcome("prompts", root, [as_row("prompts") | {"extra_info": cell}], ".parquet")
    assert "row 0: extra_info: " in found


@pytest.mark.parametrize("as_text", [False, True])
def test_a_large_cell_is_looked_through_too(root, as_text):
    cell = {"notes": "word " * 2000, "images": ["a.png"]}
    row = as_row("prompts") | {"extra_info": json.dumps(cell) if as_text else cell}
    assert "extra_info.images holds pictures" in outcome("prompts", root, [row])


@pytest.mark.parametrize(
    "cell",
    [
        {"num_images": 2, "has_image": True},
        {"images": [], "image": None, "picture": ""},
        {"choices": ["a.png is red", "b"], "image_id": "COCO_1", "image_size": [3, 4]},
        ["a word", "a.png"],
        [[1, 2], {"x": [3]}],
        "[1, 2",
    ],
)
def test_cells_about_pictures_are_none(root, cell):
    assert len(outcome("prompts", root, [as_row("prompts") | {"metadata": cell}])) == 1


def test_the_cures_for_pictures_inside_a_column_work(root):
    row = as_row("prompts") | {"extra_info": {"images": ["a.png"]}}
    [prompt] = outcome("prompts", root, [row], images_column="")
    assert prompt.images == ()
    [prompt] = outcome("prompts", root, [row | {"images": ["a.png"]}])
    assert len(prompt.images) == 1
    row = as_row("prompts") | {"extra_info": {"image": {"path": "a.png"}}}
    [prompt] = outcome("prompts", root, [row], images_column="extra_info")
    assert len(prompt.images) == 1
