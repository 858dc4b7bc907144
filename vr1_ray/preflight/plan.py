"""The plan of a run as a table: will it fit? Arithmetic on the config and on the model's config.json alone.

Nothing is started, loaded or downloaded. The numbers are estimates (`memory.py` has the formulas): a row is
a warning above nine tenths of its limit and bad above it. What is not known gives a row that says so.
"""

from collections.abc import Iterator
from dataclasses import replace

from vr1_ray.config import RunConfig, recipe_runs
from vr1_ray.config.demand import demand
from vr1_ray.preflight.batches import batch_rows
from vr1_ray.preflight.choices import choice_rows
from vr1_ray.preflight.colocated_plan import colocated_rows
from vr1_ray.preflight.engine_plan import engine_rows
from vr1_ray.preflight.limits import Machine
from vr1_ray.preflight.model_size import ModelSize, UnknownModelError, read_model_size
from vr1_ray.preflight.table import CheckRow
from vr1_ray.preflight.trainer_plan import disk_row, host_rows, reference_row, trainer_rows


def plan_rows(
    config: RunConfig, machine: Machine | None = None, *, size: ModelSize | None = None
) -> list[CheckRow]:
    """Batch arithmetic, memory and disk of a run, or of each step of a recipe, that passed `check_config`.

    `size` stands in for a model that is not there yet; without it such a model is a row of its own, and
    the rows that need it are left out. A recipe's later steps are sized as the step before them.
    """
    machine = machine or Machine()
    if config.kind != "recipe":
        return list(_rows(config, machine, size))
    rows = []
    for run in recipe_runs(config):
        step = run.name.removeprefix(f"{config.name}/")
        size = _size_if_known(run) or size
        rows += [replace(row, name=f"{step}: {row.name}") for row in _rows(run, machine, size)]
    return rows


def _rows(config: RunConfig, machine: Machine, size: ModelSize | None) -> Iterator[CheckRow]:
    if config.kind in ("figure_math", "bridge"):
        return
    yield from _demand_rows(config, machine)
    yield from batch_rows(config)
    yield from choice_rows(config)
    try:
        size = size or read_model_size(config.model.path)
    except UnknownModelError as error:
        yield CheckRow(name="model: size", value="not known", status="warning", cure=str(error))
        return
    yield CheckRow(name="model: size", value=_count(size.num_parameters))
    if config.kind in ("sft", "rl"):
        yield from trainer_rows(config, machine, size)
    if config.kind == "rl" and config.algorithm.kl_coef > 0:
        yield reference_row(config, machine, size)
    if config.kind in ("rl", "eval", "filter"):
        yield from engine_rows(config, machine, size)
    if config.is_colocated:
        yield from colocated_rows(config, machine, size)
    if config.kind in ("sft", "rl"):
        yield from host_rows(config, machine, size)
        yield disk_row(config, machine, size)


def _size_if_known(config: RunConfig) -> ModelSize | None:
    try:
        return read_model_size(config.model.path)
    except UnknownModelError:
        return None


def _demand_rows(config: RunConfig, machine: Machine) -> Iterator[CheckRow]:
    """GPUs and CPUs that the actors reserve against what there is, where that is known."""
    wanted = demand(config)
    cpus = machine.cpus_per_node
    cores = config.cluster.num_cpus or (None if cpus is None else cpus * machine.num_nodes)
    for name, limit in (("GPU", machine.num_gpus), ("CPU", cores)):
        is_enough = limit is None or wanted[name] <= limit + 1e-6
        cure = f"lower trainer.num_workers, rollout.num_engines or num_{name.lower()}s_per_*, or add nodes"
        yield CheckRow(
            name=f"{name}s reserved",
            value=f"{wanted[name]:g}",
            limit="-" if limit is None else f"{limit:g}",
            status="ok" if is_enough else "bad",
            cure="" if is_enough else cure,
        )


def _count(parameters: int) -> str:
    scale, unit = (1e9, "B") if parameters >= 1e8 else (1e6, "M")
    return f"{parameters / scale:.2f} {unit} parameters"
