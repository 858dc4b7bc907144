"""Curricula: what decides the stage of each step, in one explicit table.

To add one, see the example in `base.py`; the row below is all the rest of the code needs. One kept
outside the package is named in the YAML as `package.module:Name`.
"""

import importlib

from vr1_ray.config import CurriculumConfig
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
    """The curriculum that `config.name` says, at its start."""
    return _find(config.name)(config)


def _find(name: str) -> type[Curriculum]:
    if name in CURRICULA:
        return CURRICULA[name]
    known = ", ".join(CURRICULA)
    module_name, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError(
            f"curriculum.name={name!r} is unknown; known: {known}. "
            "Take one of these, or name your own as package.module:Name."
        )
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"curriculum.name={name!r} can't be loaded ({error}); known: {known}. "
            "Check that the module is installed or on PYTHONPATH, and the name after the colon."
        ) from error
