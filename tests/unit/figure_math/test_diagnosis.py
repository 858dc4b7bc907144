"""The drawing tells what went wrong in a wrong response."""

import pytest

from vr1_ray.figure_math.diagnosis import diagnose, error_of, figure_from_json
from vr1_ray.figure_math.drawing import BarFigure, GridFigure, RectangleFigure, figure_to_json

BARS = BarFigure(bars=(("red", 3), ("blue", 5), ("green", 2)))
RIGHT = "Bars: red 3, blue 5, green 2."
WRONG = "Bars: red 3, blue 4, green 2."


@pytest.mark.parametrize(
    ("response", "truncated", "well_formed", "kind"),
    [
        (f"<think> {RIGHT} 3 + 5 =", True, False, "cut"),
        (f"{RIGHT} 3 + 5 = 8. The answer is 8.", False, False, "format"),
        ("<think> 9 </think><answer> 9 </answer>", False, True, "no read-out"),
        (f"<think> {WRONG} 3 + 4 = 7. </think><answer> 7 </answer>", False, True, "misread figure"),
        (
            f"<think> {RIGHT} Wait. {WRONG} </think><answer> 7 </answer>",
            False,
            True,
            "wrong second look",
        ),
        (
            f"<think> {WRONG} Wait. {RIGHT} 3 + 5 = 9. </think>",
            False,
            True,
            "slip after a right look",
        ),
    ],
)
def test_each_kind_of_error_is_told_from_the_others(response, truncated, well_formed, kind):
    figure = figure_to_json(BARS)
    assert diagnose(response, truncated=truncated, well_formed=well_formed, figure=figure) == kind


@pytest.mark.parametrize(
    "figure",
    [
        BARS,
        GridFigure(cells=("red circle", "", "blue square", "", "", "", "", "", "")),
        RectangleFigure(colour="red", width=3, height=2, left=0, top=1),
    ],
)
def test_a_figure_survives_its_json(figure):
    assert figure_from_json(figure_to_json(figure)) == figure


def test_an_evaluated_row_is_diagnosed_by_the_figure_in_its_metadata_and_left_alone_without_one():
    row = {"response": "3", "truncated": True, "well_formed": False}
    assert error_of(row | {"metadata": {"figure": figure_to_json(BARS)}}) == "cut"
    assert error_of(row | {"metadata": {}}) == ""
