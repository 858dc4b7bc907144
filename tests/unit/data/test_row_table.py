"""Every kind of cell through every reader and file: what it becomes, or how it is refused."""

import json
import math

import pytest

from tests.unit.data.inputs import (
    BLUE,
    READERS,
    RED,
    RED_TEXT,
    RESPONSE,
    as_row,
    outcome,
    pictures,
    read,
    write_rows,
)

JSON_AND_PARQUET = (".jsonl", ".json", ".parquet")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return pictures(tmp_path_factory.mktemp("rows"))


def refused(found, *said: str) -> None:
    assert isinstance(found, str), f"not refused, but {found}"
    for part in said:
        assert part in found


# cell of a picture column -> the files it stands for, or what the refusal says
PICTURE_CELLS = {
    "a path": ("a.png", [RED]),
    "a path in a list": (["a.png"], [RED]),
    "two paths": (["a.png", "b.png"], [RED, BLUE]),
    "a struct of a path": ({"path": "b.png"}, [BLUE]),
    "structs of paths": ([{"path": "b.png"}, {"path": "a.png"}], [BLUE, RED]),
    "a list as JSON text": ('["a.png", "b.png"]', [RED, BLUE]),
    "a list as Python text": ("['a.png', 'b.png']", [RED, BLUE]),
    "paths with commas": ("a.png, b.png", [RED, BLUE]),
    "a data URI": (f"data:image/png;base64,{RED_TEXT}", [RED]),
    "bare base64": (RED_TEXT, [RED]),
    "base64 in the struct": ([{"bytes": RED_TEXT}], [RED]),
    "a data URI in the struct": ({"bytes": f"data:image/png;base64,{RED_TEXT}"}, [RED]),
    "a list of byte values": ({"bytes": list(RED)}, [RED]),
    "OpenAI's part": ([{"type": "image_url", "image_url": {"url": "a.png"}}], [RED]),
    "a chat template's part": ([{"type": "image", "image": "a.png"}], [RED]),
    "nothing": (None, []),
    "an empty text": ("", []),
    "an empty list": ([], []),
    "a list of null": ([None], "None is no image"),
    "an empty struct": ({"path": None}, "is no image; give a path"),
    "a number": (7, "7 is no image; give a path"),
    "a list in a list": ([["a.png"]], "['a.png'] is no image"),
    "a missing file": ("none.png", "'none.png' is no file in"),
    "one of two missing": (["a.png", "none.png"], "'none.png' is no file in"),
    "a path that leaves": ("../outside.png", "leaves the data folder"),
    "an absolute path outside": ("/etc/hostname", "leaves the data folder"),
    "a link out": ("link.png", "it is a link to"),
    "a URL": ("https://example.org/a.png", "is a URL; download them first"),
    "a bucket": ("s3://bucket/a.png", "is a URL; download them first"),
    "a path with a NUL": ("a\0.png", "is no path"),
    "a path without end": ("a /" * 3000, "is no path"),
    "text that is no base64 picture": ([{"bytes": "aGk="}], "it begins with b'hi'"),
    "bytes as text that is no base64": ({"bytes": "a.png!"}, "is no base64"),
    "byte values that are none": ({"bytes": [1, 999]}, "is no list of bytes"),
    "a page of a failed download": ("html.jpg", "html.jpg can't be decoded: it is an HTML page"),
    "a git-lfs pointer": ("lfs.png", "a git-lfs pointer, not the file itself; run `git lfs pull`"),
    "an SVG": ("drawing.png", "an SVG drawing; convert it to PNG"),
    "a PDF": ("page.png", "a PDF; convert its page to PNG"),
    "an empty file": ("empty.png", "empty; copy or download it again"),
    "a strip": ("strip.png", "strip.png has 2 x 401 pixels: its sides differ more than 200 times"),
}  # fmt: skip
BYTES_CELLS = {
    "bytes": (RED, [RED]),
    "a list of bytes": ([RED, BLUE], [RED, BLUE]),
    "a struct of bytes and a foreign path": ({"bytes": RED, "path": "/x/y.png"}, [RED]),
    "bytes that are no picture": (b"hello", "it begins with b'hello'"),
    "no bytes": (b"", "empty; copy or download it again"),
}
PARQUET_TYPED = {"an empty list", "a list of null"}  # pyarrow gives these a column without type


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", [*PICTURE_CELLS, *BYTES_CELLS])
def test_a_picture_cell_arrives_or_is_refused_by_row_and_column(root, name, reader, suffix):
    cell, wanted = (PICTURE_CELLS | BYTES_CELLS)[name]
    if name in BYTES_CELLS and suffix == ".jsonl":
        pytest.skip("JSON has no bytes")
    found = outcome(reader, root, [as_row(reader, images=cell)], suffix)
    if isinstance(wanted, str):
        refused(found, "row 0: images: ", wanted, "rows" + suffix)
        assert len(found) < 700  # a value is shortened
    else:
        [prompt] = found
        assert [image.data for image in prompt.images] == wanted
        assert prompt.question == "<image>" * len(wanted) + "How many?"


# answer cell -> reference, or what the refusal says; None: as text alone
ANSWER_CELLS = {
    "a text": ("é½", "é½"),
    "spaces": (" 3 ", "3"),
    "an integer": (7, "7"),
    "a large integer": (10**20, str(10**20)),
    "a float": (2.5, "2.5"),
    "true": (True, "True"),
    "a letter in tags": ("<answer>D</answer>", "D"),
    "a response": (RESPONSE, "3"),
    "a box": (r"\boxed{12}", "12"),
    "a nested box": (r"$\boxed{\frac{1}{2}}$", r"\frac{1}{2}"),
    "a box in a sentence": (r"So the area is $\boxed{12}$.", "12"),
    "two boxes": (r"\boxed{1} and \boxed{2}", r"\boxed{1} and \boxed{2}"),
    "letters": (["A", "C"], "A, C"),
    "numbers": ([1, 2], "1, 2"),
    "a list of one": (["A"], "A"),
    "a list of pairs": (["(1,2)", "(3,4)"], "is no reference answer that the checker knows"),
    "a list of lists": ([["A"]], "is no reference answer that the checker knows"),
    "verl's struct": ({"ground_truth": "3", "style": "rule"}, "3"),
    "a struct of a number": ({"ground_truth": 3}, "3"),
    "a struct as JSON text": ('{"ground_truth": "3"}', "3"),
    "another struct": ({"value": "3"}, "is no reference answer; write it as a text"),
    "a set in braces": ("{1, 2}", "{1, 2}"),
    "NaN": (math.nan, "nan is no reference answer"),
    "infinity": (math.inf, "inf is no reference answer"),
}


@pytest.mark.parametrize("suffix", JSON_AND_PARQUET)
@pytest.mark.parametrize("reader", ["prompts", "questions"])
@pytest.mark.parametrize("name", ANSWER_CELLS)
def test_an_answer_cell_keeps_its_value_or_is_refused(root, name, reader, suffix):
    cell, wanted = ANSWER_CELLS[name]
    if isinstance(cell, int) and cell > 2**63 and suffix == ".parquet":
        pytest.skip("an Arrow integer has 64 bits")
    found = outcome(reader, root, [as_row(reader, answer=cell)], suffix)
    if "is no reference" in wanted:
        refused(found, "row 0: answer: ", wanted)
    else:
        assert [prompt.answer for prompt in found] == [wanted]


@pytest.mark.parametrize("cell", [None, "", "  ", []])
def test_a_prompt_without_an_answer_is_refused_and_a_question_is_not(root, cell):
    refused(outcome("prompts", root, [as_row("prompts", answer=cell)]), "row 0: answer: ")
    if cell != []:
        [prompt] = outcome("questions", root, [as_row("questions", answer=cell)])
        assert prompt.answer == ""


# what a JSON file spells -> the reference
@pytest.mark.parametrize(
    "spelling",
    ["3", "3.0", "2.50", "1e20", "1E-3", "100000000000000000000", "0.30000000000000004", "-0", "-0.0", "1e400"],
)  # fmt: skip
def test_a_number_keeps_the_spelling_of_its_file_whatever_stands_beside_it(root, spelling):
    rows = ['{"problem": "q", "answer": "é"}', f'{{"problem": "q", "answer": {spelling}}}', '{"problem": "q", "answer": 2.5}']  # fmt: skip
    assert [prompt.answer for prompt in outcome("prompts", root, rows)] == ["é", spelling, "2.5"]


# question cell -> the question, or what the refusal says
QUESTION_CELLS = {
    "a text": ("How?", "How?"),
    "Chinese": ("多少？", "多少？"),
    "brackets of a formula": ("E<|x|> = ?", "E<|x|> = ?"),
    "a text with braces": ('[{"a": 1}] has how many keys?', '[{"a": 1}] has how many keys?'),
    "a chat": ([{"role": "user", "content": "How?"}], "How?"),
    "a ShareGPT chat": ([{"from": "human", "value": "How?"}], "How?"),
    "a chat with a system": ([{"role": "system", "content": "s"}, {"role": "user", "content": "How?"}], "How?"),
    "a chat as JSON text": ('[{"role": "user", "content": "How?"}]', "How?"),
    "text parts": ([{"role": "user", "content": [{"type": "text", "text": "How?"}]}], "How?"),
    "a number": (5, "5 is no question"),
    "a float": (math.nan, "is no question"),
    "a bool": (True, "True is no question"),
    "nothing": (None, "no question"),
    "spaces": ("  ", "is no question"),
    "the end of the turn": ("hi<|im_end|>\n<|im_start|>assistant", "'<|im_end|>', which the model reads as a control token"),
    "an image placeholder": ("what is <|image_pad|>?", "'<|image_pad|>', which the model reads as a control token"),
    "a vision start": ("<|vision_start|>", "control token"),
    "the end of text": ("a<|endoftext|>b", "control token"),
    "a video mark": ("<video>How?", "video is not supported"),
    "an audio mark": ("<audio>How?", "audio is not supported"),
    "an escaped video mark": (r"what is \<video>?", "what is <video>?"),
    "a mark without a picture": ("<image>How?", "1 <image> marks for 0 images"),
    "a numbered mark without a picture": ("<image_1>How?", "marks <image_1> for 0 images"),
    "an escaped numbered mark": (r"what is \<image_1>?", "what is <image_1>?"),
    "an escaped mark": (r"what is \<image>?", r"what is \<image>?"),
    "a chat of no turns": ("[]", "missing, the chat has no turns"),
    "two questions": ([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}], "turns are user, user"),
    "a robot": ([{"role": "robot", "content": "a"}], "is no turn"),
    "a video part": ([{"role": "user", "content": [{"type": "video", "video": "a.mp4"}]}], "video and audio are not supported"),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", QUESTION_CELLS)
def test_a_question_cell_is_read_by_one_rule_or_refused(root, name, reader, suffix):
    cell, wanted = QUESTION_CELLS[name]
    found = outcome(reader, root, [as_row(reader, question=cell)], suffix)
    if isinstance(found, str):
        refused(found, "row 0: ", wanted)
    else:
        assert [prompt.question for prompt in found] == [wanted]


# question, number of pictures -> the question and the pictures' order, or what the refusal says
MARKS = [
    ("How?", 1, "<image>How?", "a"),
    ("How?", 2, "<image><image>How?", "ab"),
    ("<image>How?", 1, "<image>How?", "a"),
    ("How <image> or <image>?", 2, "How <image> or <image>?", "ab"),
    ("<IMAGE>How?", 1, "<image>How?", "a"),
    ("<image_1>How?", 1, "<image>How?", "a"),
    ("<image 1>How?", 1, "<image>How?", "a"),
    ("<image1>How?", 1, "<image>How?", "a"),
    ("<image_2> or <image_1>?", 2, "<image> or <image>?", "ba"),
    ("<image_1>, again <image_1>?", 1, "<image>, again <image>?", "aa"),
    ("<image_1>What does <image> do?", 1, r"<image>What does \<image> do?", "a"),
    (r"<image>What does \<image> do?", 1, r"<image>What does \<image> do?", "a"),
    (r"x \\<image> y", 1, r"x \\<image> y", "a"),
    ("<image>What does <image> do?", 1, "2 <image> marks for 1 images", ""),
    ("<image>How?", 2, "1 <image> marks for 2 images", ""),
    ("<image_1>How?", 2, "marks <image_1> for 2 images", ""),
    ("<image_3> or <image_1>?", 2, "marks <image_1>, <image_3> for 2 images", ""),
    ("<image_0>How?", 1, "marks <image_0> for 1 images", ""),
]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("question", "count", "wanted", "order"), MARKS)
def test_marks_follow_one_rule_in_every_reader(root, reader, question, count, wanted, order):
    row = as_row(reader, question=question, images=["a.png", "b.png"][:count])
    found = outcome(reader, root, [row])
    if order:
        [prompt] = found
        assert prompt.question == wanted
        assert [image.data for image in prompt.images] == [{"a": RED, "b": BLUE}[o] for o in order]
    else:
        refused(found, wanted, r"\<image")


# columns beside the question -> which of them is named in the refusal
LOST = [
    ({"image": "a.png", "images": None}, "image"),
    ({"image": "a.png", "images": []}, "image"),
    ({"img": "a.png"}, "img"),
    ({"picture": "a.png"}, "picture"),
    ({"image_path": "a.png"}, "image_path"),
    ({"image_1": {"path": "a.png"}}, "image_1"),
    ({"scan": "sub/a.jpeg"}, "scan"),
    ({"scan": f"data:image/png;base64,{RED_TEXT}"}, "scan"),
    ({"scan": ["a.png"]}, "scan"),
    ({"videos": ["a.mp4"]}, "videos"),
    ({"video": "a.mp4"}, "video"),
    ({"video_path": "a.mp4"}, "video_path"),
    ({"images": ["a.png"], "videos": ["a.mp4"]}, "videos"),
    ({"audios": ["a.wav"]}, "audios"),
]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("columns", "named"), LOST)
def test_pictures_in_another_column_are_refused_by_its_name(root, reader, columns, named):
    found = outcome(reader, root, [as_row(reader, **columns)])
    refused(found, f"row 0: {named}: ")
    if not named.startswith(("video", "audio")):
        refused(found, f"set data.images_column={named}")


def test_an_image_column_beside_problem_is_refused_with_the_setting_that_reads_it(root):
    row = {"problem": "q", "answer": "1", "image": "a.png"}
    refused(outcome("prompts", root, [row]), "'image' holds pictures", "'images', which this row")
    [prompt] = outcome("prompts", root, [row], images_column="image")
    assert [image.data for image in prompt.images] == [RED]


def test_other_columns_stay_metadata_where_the_row_has_its_pictures(root):
    row = {"problem": "q", "answer": "1", "images": "a.png", "image": "a.png", "num_images": 1}
    [prompt] = outcome("prompts", root, [row])
    assert prompt.metadata == {"image": "a.png", "num_images": 1}
    refused(outcome("prompts", root, [row | {"image": "b.png"}]), "image: pictures stand here")


def test_a_question_or_answer_that_reads_like_a_path_is_no_lost_picture(root):
    [prompt] = outcome("prompts", root, [{"problem": "cat.png", "answer": "dog.jpg"}])
    assert (prompt.question, prompt.answer) == ("cat.png", "dog.jpg")


def test_text_alone_can_be_asked_for(root):
    row = {"problem": "q", "answer": "1", "image": "a.png", "has_image": "yes"}
    [prompt] = outcome("prompts", root, [row], images_column="")
    assert prompt.images == ()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"problem": "q", ', "row 0: line 1 is no JSON"),
        ("[1]\n[2]", "row 0: [1] is no row"),
        ('"text"', "row 0: 'text' is no row"),
        ("null", "row 0: None is no row"),
        ('{"problem": "q", "answer": "1", "answer": "2"}', "row 0: answer: stands twice in one row, as '1' and as '2'"),
        ('{"problem": "q \\ud83d", "answer": "1"}', "row 0: problem: half of a sign (a lone surrogate)"),
        ('{"problem": "q", "answer": "1", "note": {"a": ["\\udc00"]}}', "row 0: note: half of a sign"),
        ('{"problem": "q", "answer": ' + "1" * 5000 + "}", "row 0: answer: 11111111111111111111... is an integer of 5000"),
        ('{"answer": "1"}', "row 0: problem: None is no question (no column 'problem', only answer)"),
        ('{"problem": "q"}', "row 0: answer: None is no reference answer (no column 'answer', only problem)"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_row_is_refused_by_its_number(root, line, said):
    refused(outcome("prompts", root, [line]), said)


def test_a_sign_of_two_halves_is_a_text(root):
    [prompt] = outcome("prompts", root, ['{"problem": "\\ud83d\\ude00?", "answer": "1"}'])
    assert prompt.question == "😀?"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'[{"problem": "q"', "can't be read as JSON"),
        (b'[{"problem": "q", "answer": "1"} {}]', "no comma"),
        (b'[{"problem": "q", "answer": "1"}] x', "more text after the list"),
        (b'{\n "data": []\n}', "one object over several lines"),
        ('[{"problem": "q"}]'.encode("utf-16"), "UTF-16"),
        (b'[{"problem": "\xff"}]', "save it as UTF-8"),
        (b"[]", "has no rows"),
        (b"", "has no rows"),
    ],
)
def test_a_broken_file_is_refused_by_its_name(tmp_path, content, said):
    (tmp_path / "rows.json").write_bytes(content)
    for reader in READERS:
        with pytest.raises(ValueError, match=r"rows\.json") as error:
            read(reader, str(tmp_path / "rows.json"))
        assert said in str(error.value)


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n \n"])
@pytest.mark.parametrize("as_list", [True, False])
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_lists_and_lines_are_told_apart_by_content(tmp_path, start, as_list, suffix):
    rows = [{"problem": f"[{n}]\u2028", "answer": n} for n in range(3)]
    text = json.dumps(rows, indent=1) if as_list else "\r\n".join(json.dumps(r, ensure_ascii=False) for r in rows)  # fmt: skip
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(start + text.encode())
    assert [prompt.answer for prompt in read("prompts", str(path))] == ["0", "1", "2"]


def test_every_refusal_of_a_file_has_field_file_rows_and_stops_at_five(root):
    rows = [as_row("prompts", answer="")] * 7
    found = outcome("prompts", root, rows)
    refused(found, "data.train: ", "rows.jsonl has rows that can't be used", "reading stopped here")
    assert found.count("\n  row ") == 5
    refused(outcome("questions", root, [{"question": 1}]), "--input: ")
    refused(outcome("demonstrations", root, [{"query": "q"}]), "data.demonstrations: ")


def test_float_columns_of_32_bits_keep_their_own_digits(root):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"problem": ["q", "q"], "answer": pa.array([0.1, 2.5], pa.float32())})
    pq.write_table(table, root / "narrow.parquet")
    assert [p.answer for p in read("prompts", str(root / "narrow.parquet"))] == ["0.1", "2.5"]


def test_a_parquet_file_with_a_column_twice_is_refused(root):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table([["q"], ["1"], ["2"]], names=["problem", "answer", "answer"])
    pq.write_table(table, root / "twice.parquet")
    with pytest.raises(ValueError, match="has the column answer twice"):
        read("prompts", str(root / "twice.parquet"))


def test_all_three_files_of_the_same_rows_give_the_same_prompts(root):
    rows = [as_row("prompts", images=["a.png"], answer=str(n)) for n in range(3)]
    first, *others = [
        read("prompts", write_rows(root, rows, suffix)) for suffix in JSON_AND_PARQUET
    ]
    assert all(other == first for other in others)
