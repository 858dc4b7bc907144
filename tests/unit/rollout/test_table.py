"""Engines by name."""

import pytest

from vr1_ray.rollout import ROLLOUT_ENGINES, RolloutEngine, rollout_engine_class


@pytest.mark.parametrize("name", sorted(ROLLOUT_ENGINES))
def test_every_row_is_an_engine(name):
    assert issubclass(rollout_engine_class(name), RolloutEngine)


def test_an_engine_outside_is_found_by_its_path():
    found = rollout_engine_class("vr1_ray.rollout.hf_engine:HFEngine")
    assert found is rollout_engine_class("hf")


@pytest.mark.parametrize("name", ["sglang", "no.such.module:Engine", "pathlib:Path"])
def test_anything_else_is_refused_by_field_and_value(name):
    with pytest.raises(ValueError, match=f"rollout.engine='{name}'"):
        rollout_engine_class(name)
