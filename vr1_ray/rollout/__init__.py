"""How responses are sampled: engines behind one interface (`RolloutEngine`), in one explicit table.

`rollout.engine` names a row, or `package.module:Name` for an engine kept outside.
"""

from vr1_ray.config import RolloutConfig
from vr1_ray.config.tables import find, options_text
from vr1_ray.rollout.base import EngineDiedError, RolloutEngine, Sample

ROLLOUT_ENGINES: dict[str, str] = {  # as text: an engine's file is imported only where it runs
    "vllm": "vr1_ray.rollout.vllm_engine:VLLMEngine",
    "hf": "vr1_ray.rollout.hf_engine:HFEngine",
}

__all__ = [
    "ROLLOUT_ENGINES",
    "EngineDiedError",
    "RolloutEngine",
    "Sample",
    "check_engine",
    "rollout_engine_class",
]


def rollout_engine_class(name: str) -> type[RolloutEngine]:
    """The engine class of a row's name or of `package.module:Name`.

    Raises ValueError naming the field, the value and what is known.
    """
    return find(ROLLOUT_ENGINES, name, "rollout.engine", kind=RolloutEngine)


def check_engine(config: RolloutConfig) -> None:
    """Raise ValueError for an engine that can't be found, or for options that it doesn't take."""
    takes = rollout_engine_class(config.engine).option_names()
    unknown = [name for name in config.options if takes is not None and name not in takes]
    if unknown:
        what = f"engine {config.engine!r}"
        raise ValueError(options_text("rollout.options", what, unknown, takes or ()))
