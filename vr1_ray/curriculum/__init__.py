"""Curricula: what decides the stage of each step, in one explicit table.

To add one, see the example in `base.py`; the row below is all the rest of the code needs. One kept
outside the package is named in the YAML as `package.module:Name`.
"""

from vr1_ray.config import CurriculumConfig
from vr1_ray.config.tables import check_options, find
from vr1_ray.curriculum.base import Curriculum
from vr1_ray.curriculum.constant import Constant
from vr1_ray.curriculum.ptst import Ptst
from vr1_ray.curriculum.statistics import StageStatistics

CURRICULA: dict[str, type[Curriculum]] = {
    "constant": Constant,
    "ptst": Ptst,
}

__all__ = ["CURRICULA", "Constant", "Curriculum", "Ptst", "StageStatistics", "make_curriculum"]


def make_curriculum(config: CurriculumConfig) -> Curriculum:
    """The curriculum that `config.name` says, with its options, at its start.

    Raises ValueError for an unknown name, and for an option that it doesn't take.
    """
    found = find(CURRICULA, config.name, "curriculum.name", kind=Curriculum)
    check_options(
        found, config.options, "curriculum.options", f"curriculum {config.name!r}", config
    )
    return found(config, **config.options)
