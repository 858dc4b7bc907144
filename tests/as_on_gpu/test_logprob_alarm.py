"""The alarm on log-probabilities in bfloat16: silent at what rounding makes, loud at rotary frequencies in bfloat16."""

import importlib.util
from pathlib import Path

import pytest
import torch

from vr1_ray.config import ModelConfig, RunConfig
from vr1_ray.loops.measures import logprob_alarms
from vr1_ray.models import load_adapter
from vr1_ray.training.differences import Differences

SCRIPT = Path(__file__).parents[2] / "examples/benchmarks/logprob_noise.py"


@pytest.fixture(scope="module")
def noise():
    spec = importlib.util.spec_from_file_location("logprob_noise", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def alarms(model: ModelConfig, difference_N: torch.Tensor) -> list[str]:
    found = Differences()
    found.add(difference_N)
    metrics = found.over_ranks(torch.device("cpu"))
    return logprob_alarms(metrics, RunConfig(kind="rl", model=model))


@pytest.mark.slow
def test_rounding_raises_no_alarm_and_rounded_rotary_frequencies_raise_both(noise, tmp_path):
    """0.13 B parameters with the 7B's rotary frequencies, 1,900 tokens of prompt: where positions are far apart."""
    folder = noise.save_random_model(tmp_path / "random", seed=0)
    model = ModelConfig(path=str(folder), dtype="bfloat16", max_model_len=4096)
    prompts = [noise.long_prompt(load_adapter(model), 1900)]
    found = noise.compare(model, prompts, 24)
    assert alarms(model, found["sound"]) == []
    assert found["sound"].mean() > 0.005  # it is bfloat16 that was compared
    assert len(alarms(model, found["fault"])) == 2
