"""Rewards that a Python program hands over as objects, on their way to the actors that call them.

Ray's cloudpickle carries a function of a notebook or script whole; one of a module is imported by the actor, from
the driver's path.
"""

from collections.abc import Sequence

from ray import cloudpickle

from vr1_ray.config import ConfigError, RewardSpec
from vr1_ray.config.objects import Objects
from vr1_ray.config.tables import look_in_current_folder


def pack(specs: Sequence[RewardSpec], pool: str, objects: Objects) -> bytes:
    """The objects that rewards of `pool` name. Raises ConfigError for one that can't go to another process."""
    names = {spec.name for spec in specs if spec.pool == pool} & set(objects)
    packed = {}
    for name in sorted(names):
        try:
            packed[name] = cloudpickle.dumps(objects[name])
        except Exception as error:  # whatever the object holds may refuse, with an error of its own
            raise ConfigError(
                f"rewards: {name} can't be sent to a reward actor ({type(error).__name__}: {error}); it may hold no "
                "open file, lock, client or generator: make these inside the call, or in the Reward's __init__ and "
                "hand over the class"
            ) from error
    return cloudpickle.dumps(packed)


def unpack(packed: bytes) -> Objects:
    """The same objects, in the actor. Raises ConfigError for one whose module is not here."""
    look_in_current_folder()
    objects = {}
    for name, data in cloudpickle.loads(packed).items():
        try:
            objects[name] = cloudpickle.loads(data)
        except Exception as error:  # importing its module can raise anything
            raise ConfigError(
                f"rewards: {name} can't be made in a reward actor ({type(error).__name__}: {error}); install its module "
                "on every node, or define the function in the script or notebook itself"
            ) from error
    return objects
