"""Algorithms: what turns rewards into a loss, in one explicit table.

To add one, see the example in `base.py`; the row below is all the rest of the code needs. One kept
outside the package is named in the YAML as `package.module:Name`.
"""

import importlib

from vr1_ray.algorithms.base import Aggregation, Algorithm, TokenBatch, with_advantages
from vr1_ray.algorithms.dr_grpo import DrGrpo
from vr1_ray.algorithms.grpo import Grpo
from vr1_ray.algorithms.rloo import Rloo
from vr1_ray.algorithms.sft import Sft
from vr1_ray.config import AlgorithmConfig

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
    return _find(name)(config)


def _find(name: str) -> type[Algorithm]:
    if name in ALGORITHMS:
        return ALGORITHMS[name]
    known = ", ".join(ALGORITHMS)
    module_name, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError(
            f"algorithm.name={name!r} is unknown; known: {known}. "
            "Take one of these, or name your own as package.module:Name."
        )
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"algorithm.name={name!r} can't be loaded ({error}); known: {known}. "
            "Check that the module is installed or on PYTHONPATH, and the name after the colon."
        ) from error
