"""The quick part of `vr1 check`, which every training run does itself before anything is started."""

from collections.abc import Iterator

from vr1_ray.config import ConfigError, RunConfig
from vr1_ray.models import ModelAdapter
from vr1_ray.preflight.limits import Machine
from vr1_ray.preflight.model_size import UnknownModelError, read_model_size
from vr1_ray.preflight.rehearsal import format_row, weights_row
from vr1_ray.preflight.table import CheckRow
from vr1_ray.preflight.trainer_plan import disk_row


def check_quickly(config: RunConfig, adapter: ModelAdapter) -> list[str]:
    """What the user should know, in lines. Raises ConfigError for weights or a format that can't work.

    Room on the disk is an estimate, and a run that is resumed has some of its checkpoints already: a note.
    """
    facts = [weights_row(config), format_row(adapter)]
    bad = [f"{row.name}: {row.value}; {row.cure}" for row in facts if row.status == "bad"]
    if bad:
        raise ConfigError("\n".join(bad))
    rows = [*facts, *_disk(config)]
    return [f"check: {row.name}: {row.value}; {row.cure}" for row in rows if row.cure]


def _disk(config: RunConfig) -> Iterator[CheckRow]:
    try:
        yield disk_row(config, Machine(), read_model_size(config.model.path))
    except UnknownModelError:
        return  # a family without arithmetic; `vr1 check` says so
