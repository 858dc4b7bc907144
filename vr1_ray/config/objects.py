"""Objects that a run is handed from Python, in the place of names: a reward function, a `datasets.Dataset`.

`vr1_ray.run(config, rewards=[is_short], prompts=rows)` names each in the config, as `object:is_short`, and says in
`objects` what it was. So the run folder tells what the run had, and only a start that hands over the same goes on.
"""

from collections.abc import Mapping
from typing import Any

from vr1_ray.config.errors import ConfigError
from vr1_ray.config.schema import RunConfig

PREFIX = "object:"
Objects = Mapping[str, Any]  # name in the config -> the object
NO_OBJECTS: Objects = {}


def named(name: str, objects: Objects, field: str) -> Any:
    """What a field's `name` stands for: the object handed over under it, or, of any other name, the name itself.

    Raises ConfigError if there was an object, and this start has none.

    Example:
        named("data/train.parquet", {}, "data.train")                # "data/train.parquet"
        named("object:prompts", {"object:prompts": rows}, "data.train")  # rows
    """
    if not name.startswith(PREFIX):
        return name
    if name not in objects:
        raise ConfigError(
            f"{field}: {name!r} was an object of the Python program that started this run, and no file says what it "
            "was; start it again from there, with vr1_ray.run(...), or write it to a file and name that"
        )
    return objects[name]


def check_handed_over(config: RunConfig, objects: Objects) -> None:
    """Raise ConfigError for an object that the config says it has and this start does not hand over."""
    for name in config.objects:
        named(name, objects, f"objects.{name}")
