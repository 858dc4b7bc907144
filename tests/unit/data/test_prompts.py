import io
import json
import struct
import zlib

import pytest
from PIL import Image

from vr1_ray.config import DataConfig
from vr1_ray.data import DataError, limit_prompts, load_prompts
from vr1_ray.data.images import check_image


def png(colour="red", size=(8, 6)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, format="PNG")
    return buffer.getvalue()


def row(**changes):
    values = {
        "images": [{"bytes": png(), "path": None}],
        "problem": "<image>How many?",
        "answer": "3",
    }
    return {**values, **changes}


def write_parquet(folder, rows, name="train.parquet"):
    import datasets

    path = folder / name
    datasets.Dataset.from_list(rows).to_parquet(path)
    return str(path)


def write_jsonl(folder, rows, name="train.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps(item) + "\n" for item in rows))
    return str(path)


def refusal(source, config=None, split="train") -> str:
    with pytest.raises(DataError) as error:
        load_prompts(config or DataConfig(), str(source), split)
    return str(error.value)


def test_a_parquet_file_in_the_geometry3k_schema_becomes_prompts(tmp_path):
    rows = [row(family="count"), row(answer="4", family="compare")]
    prompts = load_prompts(DataConfig(), write_parquet(tmp_path, rows), "train")
    assert [prompt.answer for prompt in prompts] == ["3", "4"]
    assert prompts[0].question == "<image>How many?"
    assert prompts[0].images[0].data == png()
    assert prompts[1].metadata == {"family": "compare"}


def test_the_image_feature_of_datasets_is_never_decoded(tmp_path):
    import datasets

    features = datasets.Features(
        {
            "images": datasets.List(datasets.Image()),
            "problem": datasets.Value("string"),
            "answer": datasets.Value("string"),
        }
    )
    path = tmp_path / "test.parquet"
    datasets.Dataset.from_list([row()], features=features).to_parquet(path)
    prompts = load_prompts(DataConfig(), str(tmp_path), "test")
    assert prompts[0].images[0].data == png()


def test_json_lines_with_image_paths_give_the_same_prompts_as_parquet(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    lines = write_jsonl(tmp_path, [row(images=["a.png"])])
    parquet = write_parquet(tmp_path, [row()])
    assert load_prompts(DataConfig(), lines, "train") == load_prompts(
        DataConfig(), parquet, "train"
    )


def test_a_row_without_images_and_marks_is_a_text_prompt(tmp_path):
    prompts = load_prompts(
        DataConfig(), write_jsonl(tmp_path, [{"problem": "2+2?", "answer": 4}]), "train"
    )
    assert prompts[0].images == ()
    assert prompts[0].answer == "4"


def test_prompt_ids_come_from_content_and_a_repeated_row_gets_its_own(tmp_path):
    first = load_prompts(
        DataConfig(), write_parquet(tmp_path, [row(), row(), row(answer="9")]), "train"
    )
    again = load_prompts(
        DataConfig(), write_parquet(tmp_path, [row(answer="9"), row()], "b.parquet"), "train"
    )
    assert first[1].prompt_id == first[0].prompt_id + "-1"
    assert first[2].prompt_id == again[0].prompt_id
    assert first[0].prompt_id == again[1].prompt_id


def test_max_rows_takes_the_first_rows(tmp_path):
    source = write_parquet(tmp_path, [row(answer=str(n)) for n in range(5)])
    assert len(load_prompts(DataConfig(max_rows=2), source, "train")) == 2


def test_a_missing_file_is_refused_by_name(tmp_path):
    assert "none.parquet does not exist; check the path" in refusal(tmp_path / "none.parquet")


def test_a_missing_folder_beside_others_is_not_looked_for_on_the_hub(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    assert "data/none does not exist" in refusal("data/none")


def test_a_hub_name_that_cannot_be_reached_is_refused_with_the_cure(monkeypatch):
    import datasets
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    message = refusal("nobody/nothing")
    assert "data.train: nobody/nothing can't be read" in message
    assert "check the path, or the hub name" in message


def test_an_empty_source_is_refused():
    assert "data.train: empty" in refusal("")


def test_an_unreadable_file_is_refused(tmp_path):
    (tmp_path / "train.parquet").write_bytes(b"not parquet")
    message = refusal(tmp_path / "train.parquet")
    assert "can't be read" in message
    assert "check that the file is whole" in message


def test_a_folder_without_the_split_is_refused_with_what_it_holds(tmp_path):
    write_jsonl(tmp_path, [row(images=[])])
    assert "no file for split 'test' (it holds train.jsonl)" in refusal(tmp_path, split="test")


@pytest.mark.parametrize(
    ("column", "setting"), [("problem", "prompt_column"), ("answer", "answer_column")]
)
def test_a_missing_column_is_refused_with_the_setting_that_names_it(tmp_path, column, setting):
    values = row()
    del values[column]
    message = refusal(write_parquet(tmp_path, [values]))
    assert f"no column '{column}'" in message
    assert f"set data.{setting}" in message


@pytest.mark.parametrize("answer", ["", "  ", None])
def test_a_row_without_answer_is_refused_by_its_number(tmp_path, answer):
    message = refusal(write_parquet(tmp_path, [row(), row(answer=answer)]))
    assert f"row 1: answer: {answer!r} is no reference answer" in message


@pytest.mark.parametrize("data", [b"no image", png()[:-30], b""])
def test_an_image_that_cannot_be_decoded_is_refused(tmp_path, data):
    message = refusal(write_parquet(tmp_path, [row(images=[{"bytes": data, "path": None}])]))
    assert "row 0: images: the embedded image can't be decoded" in message


def test_a_jpeg_that_is_cut_off_is_refused():
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, format="JPEG")
    check_image(buffer.getvalue(), name="a.jpg", max_pixels=10_000)
    with pytest.raises(DataError, match=r"a\.jpg can't be decoded"):
        check_image(buffer.getvalue()[:-900], name="a.jpg", max_pixels=10_000)


def test_a_decompression_bomb_is_refused_by_its_header_alone():
    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    def bomb(width, height):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"never read") + chunk(b"IEND", b"")

    for side in (10_000, 100_000):  # PIL itself refuses the second
        with pytest.raises(
            DataError, match=r"over data.max_image_pixels=64000000, and may be a decompression bomb"
        ):
            check_image(bomb(side, side), name="bomb.png", max_pixels=64_000_000)


def test_an_image_over_the_limit_of_the_config_is_refused(tmp_path):
    source = write_parquet(tmp_path, [row()])
    assert "8 x 6 pixels, over data.max_image_pixels=40" in refusal(
        source, DataConfig(max_image_pixels=40)
    )


@pytest.mark.parametrize("kind", ["parent", "absolute", "link"])
def test_an_image_path_that_leaves_the_data_folder_is_refused(tmp_path, kind):
    (tmp_path / "outside.png").write_bytes(png())
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    path = {
        "parent": "../outside.png",
        "absolute": str(tmp_path / "outside.png"),
        "link": "link.png",
    }[kind]
    message = refusal(write_jsonl(folder, [row(images=[path])]))
    assert f"row 0: images: {path!r} leaves the data folder" in message
    assert "data.image_root" in message


def test_image_root_is_where_relative_paths_begin(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(png())
    source = write_jsonl(tmp_path, [row(images=["a.png"])])
    assert "is no file in" in refusal(source)
    assert load_prompts(DataConfig(image_root=str(tmp_path / "pictures")), source, "train")


def test_pictures_without_a_mark_stand_before_the_text_as_in_every_reader(tmp_path):
    [prompt] = load_prompts(
        DataConfig(), write_parquet(tmp_path, [row(problem="How many?")]), "train"
    )
    assert prompt.question == "<image>How many?"


@pytest.mark.parametrize("problem", ["<image><image>How many?", "<image><image><image>?"])
def test_marks_that_do_not_match_the_images_are_refused(tmp_path, problem):
    message = refusal(write_parquet(tmp_path, [row(problem=problem)]))
    assert f"{problem.count('<image>')} <image> marks for 1 images" in message


def test_the_first_five_bad_rows_are_listed_in_one_message(tmp_path):
    message = refusal(write_parquet(tmp_path, [row(answer="")] * 9))
    assert message.count("is no reference answer") == 5
    assert "reading stopped here" in message


def test_prompts_over_the_limit_are_skipped_and_counted_or_refused(tmp_path):
    rows = [row(problem="<image>" + "x" * length) for length in (3, 30, 5)]
    prompts = load_prompts(DataConfig(), write_parquet(tmp_path, rows), "train")

    def length_of(prompt):
        return len(prompt.question)

    kept, num_skipped = limit_prompts(prompts, length_of, 20, "skip")
    assert kept == [prompts[0], prompts[2]]
    assert num_skipped == 1
    with pytest.raises(DataError, match=r"row 1\) has 37 tokens, over 20; raise the limit"):
        limit_prompts(prompts, length_of, 20, "error")
    with pytest.raises(DataError, match="leaves none of 3 prompts, the longest has 37"):
        limit_prompts(prompts, length_of, 2, "skip")
