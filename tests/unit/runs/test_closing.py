"""What a run says last: every kind has lines, and says what is next."""

from typing import get_args, get_type_hints

import pytest

from vr1_ray.config import RunConfig
from vr1_ray.runs.closing import closing_lines

KINDS = [kind for kind in get_args(get_type_hints(RunConfig)["kind"]) if kind != "recipe"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_run_says_what_is_next(kind, tmp_path):
    config = RunConfig(kind=kind, name="demo", runs_folder=str(tmp_path))
    lines = closing_lines(config, {"dataset": str(tmp_path / "kept.jsonl")})
    assert lines
    assert all(
        line.startswith("next: vr1 ") for line in lines
    )  # of paths only those that are there
