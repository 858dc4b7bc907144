import io

import pytest
from PIL import Image

from tests.builders import picture
from vr1_ray.data.prompts import make_prompt
from vr1_ray.evaluation.contamination import TrainingIndex, normalised
from vr1_ray.figure_math.dataset import encode_png, random_items
from vr1_ray.types import EncodedImage

QUESTION = (
    "<image>As shown in the figure, triangle ABC has a right angle at B, find the length of AC."
)


def encoded(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, format=form, **options)
    return EncodedImage.from_bytes(buffer.getvalue())


def asked(text, image):
    return make_prompt(text, (image,), "3")


def leaks(training, question):
    found = TrainingIndex(training).compare("x", [("q", question)])
    return [(leak.image, leak.question) for leak in found.leaks], found


@pytest.fixture(scope="module")
def figure():
    return picture(3, size=(240, 200))


@pytest.mark.parametrize(
    "change",
    [
        lambda image: encoded(image, "JPEG", quality=60),
        lambda image: encoded(image.resize((168, 140)), "PNG"),
        lambda image: encoded(image.convert("RGBA"), "PNG"),
        lambda image: encoded(image.convert("L"), "WEBP"),
    ],
    ids=["jpeg", "resized", "rgba", "grey"],
)
def test_a_changed_copy_of_a_picture_is_near(figure, change):
    copy = change(figure.decode())
    found, _ = leaks([asked(QUESTION, figure)], asked(QUESTION, copy))
    assert found == [("near", "same")]


def test_the_same_bytes_are_the_same(figure):
    found, summary = leaks([asked(QUESTION, figure)], asked(QUESTION, figure))
    assert found == [("same", "same")]
    assert (
        "1 of 1 questions are in the training data with their picture (1 to the letter)"
        in summary.line()
    )


def test_other_pictures_of_the_same_kind_are_not_near():
    seen = [EncodedImage.from_bytes(encode_png(f)) for f, _, _ in random_items("train", 0, 60)]
    held_out = [EncodedImage.from_bytes(encode_png(f)) for f, _, _ in random_items("test", 0, 60)]
    index = TrainingIndex([asked(f"<image>{n} is it?", image) for n, image in enumerate(seen)])
    found = index.compare("x", [(str(n), asked("<image>what", i)) for n, i in enumerate(held_out)])
    # Rectangles on the same grid differ in few edges; figures of shapes and bars differ in many.
    assert len(found.leaks) <= 10


def test_empty_paper_is_like_no_other_empty_paper():
    first, second = (
        encoded(Image.new("RGB", (90, 90), shade), "PNG") for shade in ("white", "ivory")
    )
    assert (
        leaks([asked(QUESTION, first)], asked("<image>Something else entirely is asked", second))[0]
        == []
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (QUESTION.replace("find", "Find").replace(",", ""), "same"),
        (QUESTION + " (in cm)", "near"),
        ("<image>As shown in the figure, a circle has the radius 3, find its area.", ""),
    ],
)
def test_questions_are_compared_by_their_words(figure, text, found):
    other = picture(9, size=(240, 200))
    kinds, summary = leaks([asked(QUESTION, figure)], asked(text, other))
    assert kinds == ([("", found)] if found else [])
    assert summary.count(image=True, question=True) == 0  # words alone are no leak of the question


def test_a_short_question_is_told_by_its_picture_alone(figure):
    other = asked("<image>Find y.", picture(9, size=(240, 200)))
    assert leaks([asked("<image>Find x.", figure)], other)[0] == []


def test_hints_and_marks_are_no_words():
    assert normalised("<image>Hint: Please answer, e.g., 1.\nFind X!") == "find x"


def test_a_turned_copy_is_the_picture_that_every_part_sees(figure):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(figure.decode().rotate(90, expand=True), "JPEG", quality=90, exif=exif)
    found, _ = leaks([asked(QUESTION, figure)], asked(QUESTION, turned))
    assert found == [("near", "same")]
