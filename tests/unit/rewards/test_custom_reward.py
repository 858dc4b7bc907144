"""`examples/custom_reward`: it reads the picture, scores by hand-made responses, and runs on saved rollouts."""

from pathlib import Path
from random import Random

import pytest

from tests.unit.rewards.samples import reward_input
from vr1_ray.figure_math.dataset import encode_png
from vr1_ray.figure_math.drawing import GridFigure, draw, random_grid
from vr1_ray.rewards import combine
from vr1_ray.tracking import RolloutStore
from vr1_ray.types import EncodedImage

EXAMPLE = Path(__file__).parents[3] / "examples" / "custom_reward"
CELLS = ("red circle", "red square", "", "blue circle", "", "", "green triangle", "red circle", "")


@pytest.fixture(autouse=True)
def example(monkeypatch):
    """The example's files, importable as they are when it is run."""
    monkeypatch.syspath_prepend(str(EXAMPLE))


def scored(question, response, finished=True):
    from named_counts import NamedCountsReward

    picture = EncodedImage.from_bytes(encode_png(GridFigure(cells=CELLS)))
    asked = reward_input(response, finished=finished, images=[picture], question=question)
    return combine([("counts", 1.0, NamedCountsReward())], asked)


def test_every_cell_of_many_pictures_is_read():
    from named_counts import read_cells

    rng = Random(0)
    for figure in (random_grid(rng) for _ in range(60)):
        assert tuple(read_cells(draw(figure), tolerance=60)) == figure.cells


@pytest.mark.parametrize(
    ("thing", "number"),
    [("circles", 3), ("red circles", 2), ("red shapes", 3), ("yellow shapes", 0)],
)
def test_things_are_counted_as_the_questions_mean_them(thing, number):
    from named_counts import count

    assert count(thing, list(CELLS)) == number


@pytest.mark.parametrize(
    ("thought", "value", "named"),
    [
        ("red circles: 2, circles: 3.", 1.0, 1.0),
        ("red circles: 2, circles: 4.", 0.5, 1.0),
        ("red circles: 2.", 0.5, 0.5),
        ("red circles: 1, circles: 4. Wait. red circles: 2, circles: 3.", 1.0, 1.0),
        ("red circles: 2, circles: 3. Wait. red circles: 1, circles: 4.", 0.0, 1.0),
        ("I see five.", 0.0, 0.0),
    ],
)
def test_the_last_count_of_each_thing_asked_for_must_be_the_pictures(thought, value, named):
    question = "How many red circles and circles are there in all?"
    output = scored(question, f"<think> {thought} </think><answer> 5 </answer>")
    assert (output.value, output.parts["counts/named"]) == (value, named)


def test_counts_in_the_answer_or_of_a_cut_response_earn_nothing():
    question = "How many circles are there?"
    assert scored(question, "<think> </think><answer> circles: 3 </answer>").value == 0.0
    assert scored(question, "<think> circles: 3. </think><answer>", finished=False).value == 0.0
    assert scored(question, "<think> circles: 3. </think><answer> 3 </answer>").value == 1.0


def test_a_question_without_counts_is_0_for_every_response():
    assert scored("Which bar is the highest?", "<think> red: 3 </think>").value == 0.0


def test_it_runs_on_hand_made_responses_and_on_saved_rollouts(capsys, tmp_path):
    import run

    run.main([])
    by_hand = capsys.readouterr().out
    assert [line.split()[:3] for line in by_hand.splitlines() if line.startswith("  ")][1:5] == [
        ["1.20", "1.00", "1.00"],  # right counts, right answer: 1 + 0.2 * 1
        ["1.00", "1.00", "0.00"],
        ["1.00", "1.00", "0.00"],
        ["0.00", "0.00", "0.00"],
    ]
    RolloutStore(tmp_path, save="all").save(run.hand_made_groups())
    run.main([str(tmp_path), "1"])
    assert sorted(capsys.readouterr().out.splitlines()) == sorted(by_hand.splitlines())


def test_the_readme_shows_what_the_example_prints(capsys):
    import run

    run.main([])
    readme = (EXAMPLE / "README.md").read_text()
    first_group = capsys.readouterr().out.strip().split("\n\n")[0]
    for line in first_group.splitlines():
        assert line.rstrip() in readme
