"""Settings of `vr1 generate`. The engine's and model's own are the run's: `--set model.KEY=... rollout.KEY=...`."""

from dataclasses import dataclass, field

from vr1_ray.config.errors import ConfigError
from vr1_ray.config.loading import typed_overrides
from vr1_ray.config.ranges import Above0, Above0To1, CountFrom0, CountFrom1, From0, Seed
from vr1_ray.config.schema import DataConfig, ModelConfig, RolloutConfig


@dataclass
class GenerateConfig:
    """What is asked, how it is sampled, and where the responses go.

    Example:
        GenerateConfig(policy="runs/quickstart/rl/policy", images=["figure.png"], question="How many?")
    """

    policy: str  # a model folder or hub name
    images: list[str] = field(default_factory=list)  # of the one question
    question: str = ""  # the one question, or that of a folder's pictures
    source: str = ""  # a folder of pictures, or a .jsonl file
    output: str = ""  # a .jsonl file; empty: standard output
    # 0: what the policy was trained with, else 4096, or what the model has room for
    max_response_tokens: CountFrom0 = 0
    temperature: From0 = 0.6  # as in the paper's evaluation; 0 is greedy
    top_p: Above0To1 = 0.95
    num_samples: CountFrom1 = 1  # responses a question
    seed: Seed = 0
    timeout_seconds: Above0 = 600.0  # for the engine's start, and without any response ending
    model: ModelConfig = field(default_factory=ModelConfig)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    data: DataConfig = field(default_factory=DataConfig)


SECTIONS = ("model", "rollout", "data")  # what `--set` may set


def sections(overrides: list[str]) -> tuple[ModelConfig, RolloutConfig, DataConfig]:
    """The settings that `--set key=value ...` gives, the others as they are by default. Raises ConfigError."""
    for override in overrides:
        if override.split(".")[0] not in SECTIONS:
            raise ConfigError(
                f"--set {override}: not a setting here; use {', '.join(f'{name}.KEY=value' for name in SECTIONS)}"
            )
    config = typed_overrides(overrides)
    return config.model, config.rollout, config.data
