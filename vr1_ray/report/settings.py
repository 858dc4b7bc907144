"""The settings of a report: what differs from the defaults, or between its runs, and all the rest to unfold."""

from collections.abc import Sequence
from typing import Any

from vr1_ray.report.records import ReportedRun


def settings_table(runs: Sequence[ReportedRun]) -> dict[str, Any]:
    """Rows (key, default, a value a run): `changed` from the default or between runs, and the `others`.

    Example:
        settings_table([run])    # {"head": ["setting", "default", "demo"], "changed": [...], "others": [...]}
    """
    with_settings = [run for run in runs if run.settings]
    by_run = [{one.key: one for one in run.settings} for run in with_settings]
    changed: list[list[str]] = []
    others: list[list[str]] = []
    for key in dict.fromkeys(key for own in by_run for key in own):
        found = [own.get(key) for own in by_run]
        default = next((one.default for one in found if one is not None), "")
        values = ["" if one is None else one.value for one in found]
        is_changed = len(set(values)) > 1 or any(
            one is not None and one.is_changed for one in found
        )
        (changed if is_changed else others).append([key, default, *values])
    head = ["setting", "default", *(run.name for run in with_settings)]
    return {"head": head, "changed": changed, "others": others}
