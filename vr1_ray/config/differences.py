"""What a config sets to other values than the defaults, key by key: `vr1 config --diff` and reports show it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from vr1_ray.config.effects import kinds_of
from vr1_ray.config.given import flat
from vr1_ray.config.loading import config_text
from vr1_ray.config.schema import RunConfig

NO_DEFAULT = object()  # a place of a list, which the defaults lack


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyValue:
    """A key that counts in runs of this kind, its value, and its default or NO_DEFAULT.

    Example:
        KeyValue(key="trainer.optimizer.lr", value=5e-5, default=1e-6).is_changed    # True
    """

    key: str
    value: Any
    default: Any

    @property
    def is_changed(self) -> bool:
        return self.default is NO_DEFAULT or self.value != self.default


def key_values(config: RunConfig) -> Iterator[KeyValue]:
    """All keys of a config that count in runs of its kind; what a recipe hands down may not."""
    now = flat(yaml.safe_load(config_text(config)))
    defaults = flat(yaml.safe_load(config_text(RunConfig(kind=config.kind))))
    for key, value in now.items():
        if config.kind in kinds_of(key):
            yield KeyValue(key=key, value=value, default=defaults.get(key, NO_DEFAULT))
