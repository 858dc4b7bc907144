"""vr1_ray: Vision-R1 (https://arxiv.org/abs/2503.06749) trained with reinforcement learning on Ray actors.

From Python, beside the command `vr1` and by the same code (`examples/python/` has ten lines that train, and more):

    load_config(path, overrides)            a config, typed; `path` may name a shipped one from any folder
    run(config, rewards=[f], prompts=rows)  run it, with functions and a `datasets.Dataset` in the place of names
    read_metrics(run), read_rollouts(run)   what a run left, or leaves, as rows
    Policy(path).ask(question, picture)     one response of a policy, as a row
    score(response, answer, rewards=[f])    what one response earns, part by part
    make_curriculum(config.curriculum)      PTST by hand: begin_step, observe, is_finished
    ConfigError                             a mistake in a config: field, value, cure

Importing the package loads none of it, nor torch: each name is looked up when it is first used.

The package is a house of floors; a room imports only rooms below it (`vr1_ray/README.md` draws it):

    cli | interface -> loops -> actors -> rollout | training -> data | rewards | algorithms | curriculum | models
        | tracking -> config | types
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vr1_ray.commands.policy import Policy
    from vr1_ray.config import ConfigError, load_config
    from vr1_ray.curriculum import make_curriculum
    from vr1_ray.interface import read_metrics, read_rollouts, run, score

__version__ = "0.1.0"
__all__ = [
    "ConfigError",
    "Policy",
    "load_config",
    "make_curriculum",
    "read_metrics",
    "read_rollouts",
    "run",
    "score",
]

_HOMES = {
    "ConfigError": "vr1_ray.config",
    "load_config": "vr1_ray.config",
    "make_curriculum": "vr1_ray.curriculum",
    "Policy": "vr1_ray.commands.policy",
}


def __getattr__(name: str) -> Any:
    """A name of `__all__`, from the module that has it (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(_HOMES.get(name, "vr1_ray.interface")), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
