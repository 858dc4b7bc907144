import io
import json
import logging

import pytest
from PIL import Image

from vr1_ray.config import DataConfig
from vr1_ray.data import DataError, drop_overlong, load_demonstrations

RESPONSE = "<think> Okay, three. </think><answer> Final Answer:3 </answer>"


@pytest.fixture
def folder(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), "blue").save(buffer, format="PNG")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(buffer.getvalue())
    return tmp_path


def llava(question="<image>How many?", **changes):
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": RESPONSE}]
    return {"id": "1", "image": "pictures/a.png", "conversations": turns, **changes}


def mulberry(question="<image>How many?", images="pictures/a.png"):
    turns = [{"from": "user", "value": question}, {"from": "assistant", "value": RESPONSE}]
    return {"images": images, "conversations": turns}


def load(folder, rows, name="rows.json"):
    (folder / name).write_text(json.dumps(rows))
    return load_demonstrations(DataConfig(demonstrations=[str(folder / name)]))


def test_both_published_forms_give_the_same_demonstration(folder):
    openai_form = {
        "images": ["pictures/a.png"],
        "messages": [
            {"role": "user", "content": "<image>How many?"},
            {"role": "assistant", "content": RESPONSE},
        ],
    }
    forms = [llava(), mulberry(), mulberry(images=["pictures/a.png"]), openai_form]
    demonstrations = [load(folder, [form])[0] for form in forms]
    assert all(item == demonstrations[0] for item in demonstrations)
    assert demonstrations[0].response == RESPONSE
    assert demonstrations[0].prompt.answer == "3"


def test_files_of_different_columns_are_read_in_one_run(folder):
    (folder / "a.json").write_text(json.dumps([llava()]))
    (folder / "b.jsonl").write_text(json.dumps(mulberry()) + "\n")
    config = DataConfig(demonstrations=[str(folder / "a.json"), str(folder / "b.jsonl")])
    assert len(load_demonstrations(config)) == 2


def test_a_question_without_mark_gets_one_per_image(folder):
    [item] = load(folder, [mulberry("How many?", ["pictures/a.png", "pictures/a.png"])])
    assert item.prompt.question == "<image><image>How many?"


def test_a_system_text_is_left_out_and_counted(folder, caplog):
    turns = [{"from": "system", "value": "Be kind."}, *llava()["conversations"]]
    with caplog.at_level(logging.WARNING):
        items = load(folder, [llava(system="system"), llava(conversations=turns), llava()])
    assert len(items) == 3
    assert "2 rows have a system text" in caplog.text


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (llava("<image><image>How?"), "2 <image> marks for 1 images"),
        (llava(image="pictures/b.png"), "image: 'pictures/b.png' is no file in"),
        (llava(image="../x.png"), "image: '../x.png' leaves the data folder"),
        (
            llava(conversations=llava()["conversations"] * 2),
            "turns are user, assistant, user, assistant",
        ),
        (llava(conversations=[]), "conversations: missing"),
        (llava(conversations=[{"from": "robot", "value": "x"}]), "is no turn"),
        (llava(" "), "the user turn is empty"),
        ("text", "'text' is no row"),
    ],
)
def test_a_bad_row_is_refused_with_its_number(folder, row, said):
    with pytest.raises(DataError, match=r"data.demonstrations") as error:
        load(folder, [llava(), row])
    assert "row 1: " in str(error.value)
    assert said in str(error.value)


def test_a_missing_or_broken_file_is_refused(folder):
    with pytest.raises(DataError, match="does not exist"):
        load_demonstrations(DataConfig(demonstrations=[str(folder / "none.json")]))
    (folder / "broken.json").write_text('[{"image": ')
    with pytest.raises(DataError, match="can't be read as JSON"):
        load_demonstrations(DataConfig(demonstrations=[str(folder / "broken.json")]))
    with pytest.raises(DataError, match=r"data.demonstrations: empty"):
        load_demonstrations(DataConfig())


def test_overlong_demonstrations_are_dropped_whole_and_counted(folder):
    items = load(folder, [llava(), llava("<image>" + "x" * 500)])
    kept, num_dropped = drop_overlong(
        items, lambda item: len(item.prompt.question + item.response), 300
    )
    assert kept == items[:1]
    assert num_dropped == 1
    assert kept[0].response.endswith("</answer>")
    with pytest.raises(DataError, match=r"data.cutoff_len: 10 leaves none"):
        drop_overlong(items, lambda item: 11, 10)


def test_one_question_with_two_responses_gives_two_prompt_ids(folder):
    first, second = load(folder, [llava(), llava()])
    assert second.prompt.prompt_id == first.prompt.prompt_id + "-1"


def test_max_rows_counts_over_all_files(folder):
    (folder / "a.json").write_text(json.dumps([llava(), llava()]))
    config = DataConfig(demonstrations=[str(folder / "a.json")] * 2, max_rows=2)
    assert len(load_demonstrations(config)) == 2
