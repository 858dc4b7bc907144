"""A look for leaks that was asked for is made, or said not to be."""

from vr1_ray.commands.contamination import contamination_lines
from vr1_ray.config import RunConfig


def test_a_recipe_says_that_its_data_was_not_compared():
    [line] = contamination_lines(RunConfig(kind="recipe", name="all", benchmarks=["mathvista"]))
    assert line.startswith("benchmarks: not compared with training data, for all is a recipe")
    assert contamination_lines(RunConfig(kind="recipe", name="all")) == []
