"""The figures of `figure_math`: what they hold, how they are drawn, read out and misread.

Three kinds, all 84x84 pixels: a 3x3 grid of coloured shapes, a chart of three coloured bars, and
a rectangle on a 6x6 unit grid. With patches of 14 pixels and a 2x2 merge one merged vision token
covers one 28-pixel cell. A figure is a small frozen record; the drawing is a pure function of it
(even the small irregularities are drawn from its content hash), so equal content means equal
pixels.

`content_bucket` gives each figure to one split by its content alone: no figure of the held-out
splits is ever seen in training, whatever is asked about it.

No torch here, and no files: `figure_math` writes the dataset.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from random import Random

from PIL import Image, ImageDraw

IMAGE_SIZE = 84
CELL_SIZE = 28
COLOURS = {
    "red": (214, 40, 40),
    "green": (44, 150, 60),
    "blue": (40, 80, 205),
    "yellow": (240, 190, 20),
}
SHAPES = ("circle", "square", "triangle")
ROW_NAMES = ("Top", "Middle", "Bottom")
MAX_BAR = 9  # three units a cell
GRID_UNITS = 6  # the rectangle's grid: one unit is one patch of 14 pixels
NUM_BUCKETS = 10


@dataclass(frozen=True)
class GridFigure:
    """Nine cells in reading order, each `"red circle"` or `""` for an empty one."""

    cells: tuple[str, ...]


@dataclass(frozen=True)
class BarFigure:
    """Three bars from left to right, each `(colour, height)` with heights of 1 to 9."""

    bars: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class RectangleFigure:
    """A filled rectangle of `width` x `height` units whose upper left corner is at (left, top)."""

    colour: str
    width: int
    height: int
    left: int
    top: int


Figure = GridFigure | BarFigure | RectangleFigure
KIND_NAMES = {GridFigure: "grid", BarFigure: "bars", RectangleFigure: "rectangle"}


def figure_to_json(figure: Figure) -> str:
    """What was drawn, as one line of JSON with a `kind`."""
    return json.dumps({"kind": KIND_NAMES[type(figure)], **asdict(figure)})


def content_hash(figure: Figure) -> bytes:
    """SHA-256 of what the figure holds."""
    return hashlib.sha256(figure_to_json(figure).encode()).digest()


def content_bucket(figure: Figure) -> int:
    """The figure's bucket, 0 to 9; splits are sets of buckets."""
    return int.from_bytes(content_hash(figure)[:8], "big") % NUM_BUCKETS


def random_grid(rng: Random) -> GridFigure:
    """A grid in which three kinds of shape are frequent, so that counts above one are common."""
    kinds = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES]
    frequent = rng.sample(kinds, 3)
    empty_share = rng.choice((0.1, 0.25, 0.4))

    def cell() -> str:
        if rng.random() < empty_share:
            return ""
        return rng.choice(frequent if rng.random() < 0.85 else kinds)

    return GridFigure(cells=tuple(cell() for _ in range(9)))


def random_bars(rng: Random) -> BarFigure:
    """Three bars of different colours."""
    colours = rng.sample(list(COLOURS), 3)
    return BarFigure(bars=tuple((colour, rng.randint(1, MAX_BAR)) for colour in colours))


def random_rectangle(rng: Random) -> RectangleFigure:
    """A rectangle of any size at any place it fits."""
    width, height = rng.randint(1, GRID_UNITS), rng.randint(1, GRID_UNITS)
    return RectangleFigure(
        colour=rng.choice(list(COLOURS)),
        width=width,
        height=height,
        left=rng.randint(0, GRID_UNITS - width),
        top=rng.randint(0, GRID_UNITS - height),
    )


_MAKERS: dict[type[Figure], Callable[[Random], Figure]] = {
    GridFigure: random_grid,
    BarFigure: random_bars,
    RectangleFigure: random_rectangle,
}


def random_figure(
    rng: Random, kind: type[Figure], buckets: Iterable[int] = range(NUM_BUCKETS)
) -> Figure:
    """A figure of `kind` whose content falls in one of `buckets`."""
    allowed = frozenset(buckets)
    while True:
        figure = _MAKERS[kind](rng)
        if content_bucket(figure) in allowed:
            return figure


def draw(figure: Figure) -> Image.Image:
    """The picture of a figure, RGB, 84x84."""
    rng = Random(content_hash(figure))
    image = Image.new("RGB", (IMAGE_SIZE, IMAGE_SIZE), (255, 255, 255))
    canvas = ImageDraw.Draw(image)
    if isinstance(figure, GridFigure):
        _draw_grid(canvas, figure, rng)
    elif isinstance(figure, BarFigure):
        _draw_bars(canvas, figure, rng)
    else:
        _draw_rectangle(canvas, figure)
    return image


def _draw_lines(canvas: ImageDraw.ImageDraw, spacing: int) -> None:
    for offset in range(spacing, IMAGE_SIZE, spacing):
        canvas.line((offset, 0, offset, IMAGE_SIZE), fill=(200, 200, 200))
        canvas.line((0, offset, IMAGE_SIZE, offset), fill=(200, 200, 200))


def _draw_grid(canvas: ImageDraw.ImageDraw, figure: GridFigure, rng: Random) -> None:
    _draw_lines(canvas, CELL_SIZE)
    for index, cell in enumerate(figure.cells):
        if not cell:
            continue
        colour, shape = cell.split()
        x = CELL_SIZE * (index % 3) + CELL_SIZE // 2 + rng.randint(-2, 2)
        y = CELL_SIZE * (index // 3) + CELL_SIZE // 2 + rng.randint(-2, 2)
        radius = rng.randint(8, 10)
        box = (x - radius, y - radius, x + radius, y + radius)
        if shape == "circle":
            canvas.ellipse(box, fill=COLOURS[colour])
        elif shape == "square":
            canvas.rectangle(box, fill=COLOURS[colour])
        else:
            corners = [(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)]
            canvas.polygon(corners, fill=COLOURS[colour])


def _draw_bars(canvas: ImageDraw.ImageDraw, figure: BarFigure, rng: Random) -> None:
    """Bars of stacked blocks: one block a unit, so that a height can be counted."""
    for column, (colour, height) in enumerate(figure.bars):
        half_width = rng.randint(6, 9)
        centre = CELL_SIZE * column + CELL_SIZE // 2
        for unit in range(height):
            bottom = IMAGE_SIZE - round(unit * CELL_SIZE / 3) - 1
            top = IMAGE_SIZE - round((unit + 1) * CELL_SIZE / 3) + 1
            canvas.rectangle(
                (centre - half_width, top, centre + half_width, bottom), fill=COLOURS[colour]
            )


def _draw_rectangle(canvas: ImageDraw.ImageDraw, figure: RectangleFigure) -> None:
    unit = IMAGE_SIZE // GRID_UNITS
    left, top = figure.left * unit, figure.top * unit
    right, bottom = left + figure.width * unit - 1, top + figure.height * unit - 1
    canvas.rectangle((left, top, right, bottom), fill=COLOURS[figure.colour])
    _draw_lines(canvas, unit)


def read_out(figure: Figure) -> str:
    """Everything the figure shows, in reading order."""
    if isinstance(figure, GridFigure):
        rows = [figure.cells[start : start + 3] for start in (0, 3, 6)]
        named = zip(ROW_NAMES, rows, strict=True)
        return " ".join(
            f"{name}: {', '.join(cell or 'empty' for cell in row)}." for name, row in named
        )
    if isinstance(figure, BarFigure):
        return "Bars: " + ", ".join(f"{colour} {height}" for colour, height in figure.bars) + "."
    return f"Rectangle: {figure.width} wide, {figure.height} high."


def misread(figure: Figure, rng: Random) -> Figure:
    """The figure as a hasty reader sees it: one cell, bar or side is taken for something else."""
    if isinstance(figure, GridFigure):
        index = rng.randrange(9)
        kinds = {f"{colour} {shape}" for colour in COLOURS for shape in SHAPES} | {""}
        # A neighbour's content is the likeliest slip; anything else happens too.
        near = {cell for cell in figure.cells if cell != figure.cells[index]}
        wrong = rng.choice(sorted(near or kinds - {figure.cells[index]}))
        return GridFigure(cells=(*figure.cells[:index], wrong, *figure.cells[index + 1 :]))
    if isinstance(figure, BarFigure):
        index = rng.randrange(3)
        colour, height = figure.bars[index]
        bar = (colour, _off_by_one(height, MAX_BAR, rng))
        return BarFigure(bars=(*figure.bars[:index], bar, *figure.bars[index + 1 :]))
    if rng.random() < 0.5:
        return replace(figure, width=_off_by_one(figure.width, GRID_UNITS, rng))
    return replace(figure, height=_off_by_one(figure.height, GRID_UNITS, rng))


def _off_by_one(value: int, largest: int, rng: Random) -> int:
    return rng.choice([other for other in (value - 1, value + 1) if 1 <= other <= largest])
