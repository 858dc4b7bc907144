"""Algorithms: what turns rewards into a loss, in one explicit table.

To add one, see the example in `base.py`; the row below is all the rest of the code needs. One kept
outside the package is named in the YAML as `package.module:Name`.
"""

from vr1_ray.algorithms.base import Aggregation, Algorithm, TokenBatch, with_advantages
from vr1_ray.algorithms.dr_grpo import DrGrpo
from vr1_ray.algorithms.grpo import Grpo
from vr1_ray.algorithms.rloo import Rloo
from vr1_ray.algorithms.sft import Sft
from vr1_ray.config import AlgorithmConfig
from vr1_ray.config.tables import find

ALGORITHMS: dict[str, type[Algorithm]] = {
    "dr_grpo": DrGrpo,
    "grpo": Grpo,
    "rloo": Rloo,
    "sft": Sft,
}

__all__ = [
    "ALGORITHMS",
    "Aggregation",
    "Algorithm",
    "TokenBatch",
    "make_algorithm",
    "with_advantages",
]


def make_algorithm(config: AlgorithmConfig, *, kind: str = "rl") -> Algorithm:
    """The algorithm that `config.name` says; a run of kind "sft" always takes cross-entropy."""
    name = "sft" if kind == "sft" else config.name
    return find(ALGORITHMS, name, "algorithm.name", kind=Algorithm)(config)
