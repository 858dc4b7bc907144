"""Configuration: the dataclasses of a run (`schema`), how they are read (`loading`), their rules (`ranges`, `checks`, `effects`)."""

from vr1_ray.config.algorithm import AlgorithmConfig
from vr1_ray.config.blindness import BlindnessConfig
from vr1_ray.config.bridge import (
    BridgeConfig,
    BridgeSourceConfig,
    EndpointConfig,
    RehearsalConfig,
)
from vr1_ray.config.checks import check_config
from vr1_ray.config.errors import ConfigError
from vr1_ray.config.evaluation import EvalConfig, JudgeConfig, PolicyConfig
from vr1_ray.config.filter import FilterConfig
from vr1_ray.config.loading import config_text, load_config, recipe_runs, save_config
from vr1_ray.config.rollout import EngineHealthConfig, RolloutConfig
from vr1_ray.config.schema import (
    CheckpointConfig,
    ClusterConfig,
    CurriculumConfig,
    DataConfig,
    FigureMathConfig,
    InvalidRolloutsConfig,
    ModelConfig,
    ReferenceConfig,
    RewardPoolConfig,
    RewardSpec,
    RunConfig,
    StageConfig,
    TrackingConfig,
)
from vr1_ray.config.trainer import OptimizerConfig, TrainerConfig

__all__ = [
    "AlgorithmConfig",
    "BlindnessConfig",
    "BridgeConfig",
    "BridgeSourceConfig",
    "CheckpointConfig",
    "ClusterConfig",
    "ConfigError",
    "CurriculumConfig",
    "DataConfig",
    "EndpointConfig",
    "EngineHealthConfig",
    "EvalConfig",
    "FigureMathConfig",
    "FilterConfig",
    "InvalidRolloutsConfig",
    "JudgeConfig",
    "ModelConfig",
    "OptimizerConfig",
    "PolicyConfig",
    "ReferenceConfig",
    "RehearsalConfig",
    "RewardPoolConfig",
    "RewardSpec",
    "RolloutConfig",
    "RunConfig",
    "StageConfig",
    "TrackingConfig",
    "TrainerConfig",
    "check_config",
    "config_text",
    "load_config",
    "recipe_runs",
    "save_config",
]
