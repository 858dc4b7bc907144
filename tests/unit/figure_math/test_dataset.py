"""`figure_math`: the figures, the questions, the demonstrations, and the files they are written to."""

import hashlib
import io
import json
import re
import subprocess
import sys
import time
from collections import Counter
from random import Random

import pytest
from datasets import load_dataset
from PIL import Image

from vr1_ray.figure_math.dataset import TEST_BUCKETS, TRAIN_BUCKETS, random_items, write_dataset
from vr1_ray.figure_math.drawing import (
    BarFigure,
    GridFigure,
    RectangleFigure,
    draw,
    misread,
    random_figure,
    read_out,
)
from vr1_ray.figure_math.questions import FAMILIES, Question, random_question, solve
from vr1_ray.figure_math.thoughts import (
    chain,
    compare_choices,
    comparisons,
    counts,
    demonstration,
    step_by_step,
)

GRID = GridFigure(
    cells=("red circle", "", "blue square", "red circle", "red square", "", "", "", "green circle")
)
BARS = BarFigure(bars=(("red", 4), ("blue", 7), ("green", 7)))
RECTANGLE = RectangleFigure(colour="blue", width=4, height=3, left=1, top=2)
RESPONSE = re.compile(
    r"<think> (Okay, .+) </think><answer> Final Answer:(\w+) </answer>", re.DOTALL
)
SIZES = {"num_train": 60, "num_validation": 30, "num_test": 40, "num_demonstrations": 50}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figure_math")
    write_dataset(folder, seed=3, **SIZES)
    return folder


def load(folder):
    files = {split: str(folder / f"{split}.parquet") for split in ("train", "validation", "test")}
    return load_dataset("parquet", data_files=files, cache_dir=str(folder / "cache"))


@pytest.mark.parametrize(
    ("figure", "kind", "operands", "answer"),
    [
        (GRID, "count", ("red circles",), "2"),
        (GRID, "count", ("red shapes",), "3"),
        (GRID, "count", ("squares",), "2"),
        (GRID, "sum", ("red shapes", "green circles"), "4"),
        (GRID, "difference", ("green circles", "red shapes"), "2"),
        (GRID, "more", ("circles", "squares"), "yes"),
        (GRID, "equal", ("red circles", "squares"), "yes"),
        (BARS, "bar_sum", ("red", "green"), "11"),
        (BARS, "bar_difference", ("red", "green"), "3"),
        (BARS, "bar_higher", ("green", "blue"), "no"),
        (RECTANGLE, "side", ("wide",), "4"),
        (RECTANGLE, "perimeter", (), "14"),
        (RECTANGLE, "area", (), "12"),
    ],
)
def test_the_reference_answer_is_the_one_worked_out_by_hand(figure, kind, operands, answer):
    assert solve(Question(kind=kind, operands=operands), figure) == answer


def test_a_choice_question_is_answered_with_its_letter():
    question = Question(kind="perimeter", choices=("12", "16", "14", "10"))
    assert question.family == "multiple_choice"
    assert question.text.endswith("Choices: 12 (A) 16 (B) 14 (C) 10 (D)")
    assert solve(question, RECTANGLE) == "C"


def test_a_chain_reads_the_figure_out_and_computes():
    question = Question(kind="sum", operands=("red shapes", "green circles"))
    assert step_by_step(question, GRID) == (
        "Top: red circle, empty, blue square. Middle: red circle, red square, empty. "
        "Bottom: empty, empty, green circle. "
        "red shapes: 3, green circles: 1. 3 + 1 = 4. The answer is 4."
    )


def test_the_exercises_in_counting_and_in_finding_letters_are_right():
    right = {
        "red circles: 2", "red squares: 1", "blue squares: 1", "green circles: 1", "red shapes: 3",
        "green shapes: 1", "blue shapes: 1", "circles: 3", "squares: 2",
    }  # fmt: skip
    for seed in range(20):
        read, _, counted = counts(GRID, Random(seed)).rpartition(". ")
        assert read + "." == read_out(GRID)
        for item in counted.removesuffix(".").split(", "):
            assert item in right or item.endswith(": 0")
    question = Question(kind="perimeter", choices=("12", "8", "14", "10"))
    assert (
        compare_choices(question, "14") == "12 is 14? no (A). 8 is 14? no (B). 14 is 14? yes (C)."
    )
    assert compare_choices(question, "12") == "12 is 12? yes (A)."


def test_the_exercise_in_comparing_says_yes_to_what_is_the_same_about_four_times_in_ten():
    num_same = 0
    for seed in range(100):
        request, verdicts = comparisons(Random(seed))
        wanted, _, offered = request.removeprefix("Compare with ").partition(": ")
        expected = [
            f"{one} is {wanted}? {'yes' if one == wanted else 'no'}." for one in offered.split()
        ]
        assert verdicts == " ".join(expected)
        assert len(expected) == 8
        num_same += verdicts.count("yes")
    assert 300 < num_same < 420


def test_a_wrong_result_that_is_not_offered_is_compared_with_every_choice():
    question = Question(kind="perimeter", choices=("12", "16", "14", "10"))
    ending = " 20. 12 is 20? no (A). 16 is 20? no (B). 14 is 20? no (C). 10 is 20? no (D)."
    assert chain(question, RECTANGLE, (6, 4)).endswith(ending)


@pytest.mark.parametrize("kind", [GridFigure, BarFigure, RectangleFigure])
def test_a_misread_figure_differs_and_an_equal_figure_draws_the_same_pixels(kind):
    rng = Random(0)
    for _ in range(100):
        figure = random_figure(rng, kind)
        assert misread(figure, rng) != figure
        assert draw(figure).tobytes() == draw(figure).tobytes()
        assert draw(figure).size == (84, 84)


def test_drawing_shows_what_the_figure_holds():
    image = draw(RECTANGLE)
    pixels = [image.getpixel((x, y)) for x in range(84) for y in range(84)]
    blue = sum(pixel[2] > 180 and pixel[0] < 80 for pixel in pixels)
    assert 0.75 * 12 * 14 * 14 < blue < 12 * 14 * 14  # twelve units, less the grid lines
    assert image.getpixel((2, 2)) == (255, 255, 255)
    assert draw(GRID).getpixel((14, 14))[0] > 180
    assert read_out(BARS) == "Bars: red 4, blue 7, green 7."


def test_yes_and_no_and_the_letters_are_about_equally_frequent():
    rng, answers = Random(1), Counter()
    for _ in range(3000):
        figure, question = random_question(rng)
        answers[question.family, solve(question, figure)] += 1
    yes, no = answers["compare", "yes"], answers["compare", "no"]
    assert 0.4 < yes / (yes + no) < 0.6
    letters = [answers["multiple_choice", letter] for letter in "ABCD"]
    assert min(letters) > 0.7 * max(letters)


def test_every_demonstration_has_the_format_and_ends_right():
    rng = Random(2)
    for _ in range(500):
        figure, question = random_question(rng)
        match = RESPONSE.fullmatch(demonstration(question, figure, rng))
        assert match
        assert match[2] == solve(question, figure)
        assert match[1].endswith(f" The answer is {match[2]}.")


def test_demonstrations_glance_look_again_mend_mistakes_and_vary_in_length():
    rng, looks, lengths = Random(4), Counter(), []
    num_mistaken = num_only_glances = 0
    for _ in range(1000):
        figure, question = random_question(rng)
        text = demonstration(question, figure, rng)
        parts = re.split(
            r"Wait, let me \w+ again\.|Hmm, is that right\?|Let me check\.|Hmm, wait\.", text
        )
        looks[len(parts) - 1] += 1
        right = chain(question, figure, with_read_out=False)
        num_mistaken += any(not part.strip().endswith(right) for part in parts[:-1])
        num_only_glances += not re.search("Top: |Bars: |Rectangle: ", text)
        lengths.append(len(text.split()))
    assert 0.35 < looks[0] / 1000 < 0.6
    assert looks[3] > 100
    assert num_mistaken > 200
    assert 250 < num_only_glances < 500
    assert max(lengths) > 4 * min(lengths)


def test_every_wrong_answer_in_a_thought_is_doubted_and_the_last_one_is_right():
    question, rng = Question(kind="sum", operands=("red shapes", "green circles")), Random(0)
    num_wrong = 0
    for _ in range(200):
        looks = demonstration(question, GRID, rng).split("The answer is ")[1:]
        assert looks[-1] == "4. </think><answer> Final Answer:4 </answer>"
        for look in looks[:-1]:
            num_wrong += not look.startswith("4.")
            assert re.match(r"\d+\. (Wait|Hmm|Let me check)", look)
    assert num_wrong > 40


def test_rows_have_the_geometry3k_schema_and_every_family(folder):
    rows = load(folder)["test"]
    assert len(rows) == SIZES["num_test"]
    for row in rows:
        assert row["problem"].count("<image>") == 1
        assert row["images"][0].size == (84, 84)
        assert row["answer"]
        assert json.loads(row["figure"])["kind"] in ("grid", "bars", "rectangle")
    families = {question.family for _, question, _ in random_items("test", 0, 200)}
    assert families == set(FAMILIES)


def test_no_question_and_no_figure_is_shared_between_splits(folder):
    contents, figures = [], []
    for rows in load(folder).values():
        hashes = [(row["images"][0].tobytes(), row["problem"]) for row in rows]
        contents.append(
            {hashlib.sha256(pixels + text.encode()).digest() for pixels, text in hashes}
        )
        figures.append({hashlib.sha256(pixels).digest() for pixels, _ in hashes})
        assert len(contents[-1]) == len(rows)
    rows = json.loads((folder / "demonstrations.json").read_text())
    images = [Image.open(folder / row["image"]).tobytes() for row in rows]
    figures.append({hashlib.sha256(pixels).digest() for pixels in images})
    for groups in (contents, figures):
        assert len(set().union(*groups)) == sum(len(group) for group in groups)


def test_held_out_figures_never_come_from_the_training_buckets():
    rng = Random(0)
    held_out = {random_question(rng, TEST_BUCKETS)[0] for _ in range(500)}
    seen = {random_question(rng, TRAIN_BUCKETS)[0] for _ in range(500)}
    assert not held_out & seen


def test_demonstrations_are_sharegpt_rows_with_their_pictures_on_disk(folder):
    rows = json.loads((folder / "demonstrations.json").read_text())
    assert len(rows) == SIZES["num_demonstrations"]
    for row in rows:
        assert set(row) == {"id", "image", "conversations"}
        human, gpt = row["conversations"]
        assert human["from"] == "human"
        assert human["value"].startswith("<image>")
        assert gpt["from"] == "gpt"
        assert RESPONSE.fullmatch(gpt["value"])
        assert Image.open(io.BytesIO((folder / row["image"]).read_bytes())).size == (84, 84)


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(folder, tmp_path):
    write_dataset(tmp_path / "same", seed=3, **SIZES)
    write_dataset(tmp_path / "other", seed=4, **SIZES)
    for name in ("train.parquet", "test.parquet", "demonstrations.json"):
        content = (folder / name).read_bytes()
        assert content == (tmp_path / "same" / name).read_bytes()
        assert content != (tmp_path / "other" / name).read_bytes()


@pytest.mark.slow
def test_writing_the_default_dataset_is_quick(tmp_path):
    start = time.process_time()  # a busy machine is no fault of ours
    write_dataset(tmp_path)
    assert time.process_time() - start < 15  # about four seconds


def test_figures_load_without_torch():
    code = "import sys, vr1_ray.figure_math.dataset; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
