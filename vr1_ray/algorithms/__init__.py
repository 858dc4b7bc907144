"""Algorithms: what turns rewards into a loss, in one explicit table.

To add one, see the example in `base.py`; the row below is all the rest of the code needs. One kept
outside the package is named in the YAML as `package.module:Name`.
"""

from vr1_ray.algorithms.base import Aggregation, Algorithm, TokenBatch, with_advantages
from vr1_ray.algorithms.cispo import Cispo
from vr1_ray.algorithms.dapo import Dapo
from vr1_ray.algorithms.dr_grpo import DrGrpo
from vr1_ray.algorithms.grpo import Grpo
from vr1_ray.algorithms.gspo import Gspo
from vr1_ray.algorithms.reinforce_plus_plus import ReinforcePlusPlus, ReinforcePlusPlusBaseline
from vr1_ray.algorithms.rloo import Rloo
from vr1_ray.algorithms.sapo import Sapo
from vr1_ray.algorithms.sft import Sft
from vr1_ray.config import AlgorithmConfig
from vr1_ray.config.tables import check_options, find

ALGORITHMS: dict[str, type[Algorithm]] = {
    "cispo": Cispo,
    "dapo": Dapo,
    "dr_grpo": DrGrpo,
    "grpo": Grpo,
    "gspo": Gspo,
    "reinforce_plus_plus": ReinforcePlusPlus,
    "reinforce_plus_plus_baseline": ReinforcePlusPlusBaseline,
    "rloo": Rloo,
    "sapo": Sapo,
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
    """The algorithm that `config.name` says, with its options; a run of kind "sft" always takes cross-entropy.

    Raises ValueError for an unknown name, and for an option that it doesn't take.
    """
    if kind == "sft":
        return Sft(config)
    found = find(ALGORITHMS, config.name, "algorithm.name", kind=Algorithm)
    if kind == "rl" and issubclass(found, Sft):
        raise ValueError(
            f"algorithm.name={config.name!r} learns from demonstrations, not from rewards; use grpo, or kind: sft."
        )
    check_options(found, config.options, "algorithm.options", f"algorithm {config.name!r}", config)
    return found(config, **config.options)
