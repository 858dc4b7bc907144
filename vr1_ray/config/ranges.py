"""The range of a number, said beside its field: `lr: Above0 = 1e-6`, and how a value is held to it.

Every number of a config has one (a test goes over all fields), and nan and infinity are in none. Names say what is
allowed: `CountFrom1` is an int of at least 1, `Above0` a float above 0. Where 0 or null turns something off, the range
has it and the field's comment says so. `numbers_out_of_range` in `fields.py` checks a whole config.
"""

import math
from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, kw_only=True)
class Range:
    """The numbers a field may have; `above` and `below` are left out themselves.

    Example:
        Range(above=0.0, most=1.0).text       # "above 0 and at most 1"
        Range(least=0, most=3).has(4)         # False
    """

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None

    def has(self, value: float) -> bool:
        """Whether a number lies in it. nan and infinity don't."""
        return (
            math.isfinite(value)
            and (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )

    @property
    def text(self) -> str:
        """The range in words."""
        if self.least is not None and self.most is not None:
            return f"{self.least:.10g} to {self.most:.10g}"
        bounds = {
            "at least": self.least,
            "above": self.above,
            "at most": self.most,
            "below": self.below,
        }
        words = [f"{word} {bound:.10g}" for word, bound in bounds.items() if bound is not None]
        return " and ".join(words) or "any finite number"


CountFrom0 = Annotated[int, Range(least=0)]
CountFrom1 = Annotated[int, Range(least=1)]
CountFrom2 = Annotated[int, Range(least=2)]
Seed = Annotated[int, Range(least=0, most=2**32 - 1)]  # what every library's generator takes
AnyNumber = Annotated[float, Range()]
From0 = Annotated[float, Range(least=0.0)]
From0Below1 = Annotated[float, Range(least=0.0, below=1.0)]
Above0 = Annotated[float, Range(above=0.0)]
Above0To1 = Annotated[float, Range(above=0.0, most=1.0)]
Share = Annotated[float, Range(least=0.0, most=1.0)]
