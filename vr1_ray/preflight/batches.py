"""The batch arithmetic of a run: what one step asks of engines and ranks, stage by stage. No model is needed.

Memory is in `memory.py`; both end as rows of one table in `plan.py`.
"""

from collections.abc import Iterator

from vr1_ray.config import RunConfig, StageConfig
from vr1_ray.config.demand import enabled_stages
from vr1_ray.preflight.table import CheckRow
from vr1_ray.wording import counted


def batch_rows(config: RunConfig) -> Iterator[CheckRow]:
    """One row per stage of an RL run, one for the cold start, none for other kinds."""
    if config.kind == "sft":
        yield _demonstrations(config)
    if config.kind == "rl":
        for number, stage in enumerate(enabled_stages(config), start=1):
            yield _stage_batch(config, number, stage)


def _demonstrations(config: RunConfig) -> CheckRow:
    rows, ranks = config.prompts_per_step, config.trainer.num_workers
    return _fed(
        rows,
        ranks,
        name="cold start: batch",
        value=f"{counted(rows, 'demonstration')} an update, {rows / ranks:g} a rank",
        what="demonstration",
    )


def _stage_batch(config: RunConfig, number: int, stage: StageConfig) -> CheckRow:
    prompts, parts = config.prompts_per_step, config.trainer.mini_batches_per_step
    ranks, engines = config.trainer.num_workers, config.rollout.num_engines
    responses = prompts * stage.group_size
    each = prompts // parts
    value = (
        f"{counted(prompts, 'prompt')} x {stage.group_size} = {counted(responses, 'response')}, {counted(parts, 'update')}; "
        f"{each * stage.group_size / ranks:.0f} rows a rank, {responses / engines:.0f} an engine"
    )
    rows = each * stage.group_size
    return _fed(rows, ranks, name=f"stage {number}: batch", value=value, what="response")


def _fed(rows: int, ranks: int, *, name: str, value: str, what: str) -> CheckRow:
    """Groups are split over ranks, rows are not: an update with fewer of them than ranks leaves some idle."""
    limit = f"ranks: {ranks}"
    if rows >= ranks:
        return CheckRow(name=name, value=value, limit=limit)
    cure = f"{ranks - rows} ranks get no {what} of an update; lower trainer.num_workers to {rows}"
    return CheckRow(name=name, value=value, limit=limit, status="warning", cure=cure)
