"""How responses are sampled: engines behind one interface (`RolloutEngine`), in one explicit table.

`rollout.engine` names a row, or `package.module:Name` for an engine kept outside.
"""

from importlib import import_module

from vr1_ray.rollout.base import EngineDiedError, RolloutEngine, Sample

ROLLOUT_ENGINES: dict[str, str] = {  # as text: an engine's file is imported only where it runs
    "vllm": "vr1_ray.rollout.vllm_engine:VLLMEngine",
    "hf": "vr1_ray.rollout.hf_engine:HFEngine",
}

__all__ = ["ROLLOUT_ENGINES", "EngineDiedError", "RolloutEngine", "Sample", "rollout_engine_class"]


def rollout_engine_class(name: str) -> type[RolloutEngine]:
    """The engine class of a row's name or of `package.module:Name`.

    Raises ValueError naming the field, the value and what is known.
    """
    target = ROLLOUT_ENGINES.get(name, name)
    module_name, _, attribute = target.partition(":")
    if not attribute:
        raise ValueError(
            f"rollout.engine={name!r} is unknown; take one of {', '.join(sorted(ROLLOUT_ENGINES))}, "
            "or package.module:Name."
        )
    try:
        found = getattr(import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"rollout.engine={name!r} can't be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, RolloutEngine)):
        raise ValueError(f"rollout.engine={name!r} is not a RolloutEngine.")
    return found
