"""A reward that looks at the image: does the chain of thought name the right counts?

For the grids of `figure_math`. The counts come from the picture's own pixels, not from the reference answer
or the dataset's notes, so a thought earns nothing for a right answer after wrong counts. Questions about bars
or rectangles ask for no count: there it is 0 for every response of the group, which moves no advantage. A
response that the budget cut earns nothing, as with the hard format reward: PTST relies on that.
"""

import re

import numpy as np
from PIL import Image

from vr1_ray.rewards import Reward
from vr1_ray.types import RewardInput, RewardOutput

COLOURS = {"red": (214, 40, 40), "green": (44, 150, 60), "blue": (40, 80, 205), "yellow": (240, 190, 20)}  # fmt: skip
THING = re.compile(r"\b(?:(?:red|green|blue|yellow) )?(?:circle|square|triangle|shape)s\b")


class NamedCountsReward(Reward):
    """The share of the things asked for whose last count in the thought is the picture's, from 0 to 1.

    A thought names a count as `red circles: 3`. The last one of each thing stands, so a second look pays if
    it mends the first. `tolerance` is how far from a colour, summed over red, green and blue, a pixel may be.
    """

    def __init__(self, tolerance: int = 60) -> None:
        self.tolerance = tolerance

    def score(self, reward_input: RewardInput) -> RewardOutput:
        asked = sorted(set(THING.findall(reward_input.question)))
        if not asked or not reward_input.finished:
            return RewardOutput(value=0.0)
        [image] = reward_input.images()
        cells = read_cells(image, self.tolerance)
        named = last_counts(reward_input.response.split("</think>")[0])
        right = sum(named.get(thing) == count(thing, cells) for thing in asked)
        return RewardOutput(
            value=right / len(asked),
            parts={"named": sum(thing in named for thing in asked) / len(asked)},
        )


def last_counts(thought: str) -> dict[str, int]:
    """What the thought says last of each thing: "squares: 2. Wait ... squares: 3." gives {"squares": 3}."""
    return {
        thing: int(number)
        for thing, number in re.findall(rf"({THING.pattern}): (\d{{1,3}})\b", thought)
    }


def count(thing: str, cells: list[str]) -> int:
    """How many cells, each as "red circle" or "", are one of "red circles", "circles" or "red shapes"."""
    *colour, shape = thing.removesuffix("s").split()
    wanted = {*colour, shape} - {"shape"}
    return sum(wanted <= set(cell.split()) for cell in cells if cell)


def read_cells(image: Image.Image, tolerance: int) -> list[str]:
    """What the nine cells of a grid show, in reading order."""
    rows = np.array_split(np.asarray(image, dtype=int), 3)
    return [read_cell(cell, tolerance) for row in rows for cell in np.array_split(row, 3, axis=1)]


def read_cell(cell: np.ndarray, tolerance: int) -> str:
    """What a cell of pixels shows, "red circle" or ""; the shape is told by how much of its box is filled."""
    for name, colour in COLOURS.items():
        mask = np.abs(cell - colour).sum(axis=-1) < tolerance
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows) * 3 > len(mask):  # less is a speck
            filled = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean()
            shape = "square" if filled > 0.9 else "circle" if filled > 0.65 else "triangle"
            return f"{name} {shape}"
    return ""
