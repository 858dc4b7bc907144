"""Every setting of a run, as typed dataclasses with a comment per field.

A config is data: nothing writes to it after loading, and this module imports nothing it configures.
`loading.py` reads YAML and overrides into these classes, `checks.py` holds the cross-field rules.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from omegaconf import MISSING

from vr1_ray.config.bridge import BridgeConfig
from vr1_ray.config.evaluation import EvalConfig
from vr1_ray.config.machines import MachinesConfig
from vr1_ray.config.reference import ReferenceConfig
from vr1_ray.config.rollout import RolloutConfig
from vr1_ray.config.trainer import LOGPROB_LIMITS, TrainerConfig


@dataclass
class ModelConfig:
    """Which vision-language model, and how its images are scaled."""

    path: str = ""  # local folder or hub name in Hugging Face format
    revision: str | None = None  # of a hub name: a branch, tag or commit
    adapter: str = (
        ""  # of a family kept outside: package.module:Name; "": by config.json's model_type
    )
    dtype: Literal["float32", "bfloat16"] = "float32"  # bfloat16 on GPU, float32 on CPU
    # Of trainer and reference. auto: flash_attention_2 where it is installed (bfloat16 on GPU), else sdpa.
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = "auto"
    # Images with fewer pixels are enlarged; the same in SFT, RL and evaluation.
    min_pixels: int = 3136
    max_pixels: int = 1_003_520  # images with more pixels are shrunk
    max_model_len: int = 1024  # prompt plus response tokens; covers the longest stage
    max_images: int = (
        8  # of one prompt; data with more is refused before an engine, set to it, starts
    )
    freeze_vision_tower: bool = False  # paper: frozen in cold start, trained in RL
    freeze_projector: bool = False  # the merger between vision tower and language model
    system_prompt: str | None = None  # None sends no system message
    trust_remote_code: bool = False


@dataclass
class DataConfig:
    """Where rows come from. `train` etc. are a local .parquet/.jsonl/.json file, a folder or a hub name."""

    train: str = ""
    revision: str | None = None  # of a hub name: a branch, tag or commit
    split: str = "train"  # split of a hub name or folder
    prompt_column: str = "problem"
    answer_column: str = "answer"
    images_column: str = "images"  # "": text alone, whatever other columns hold
    image_root: str = ""  # image paths may not leave it; default: the data file's folder
    # Rows that can't be used: "error" refuses the file, "skip" leaves them out, counts and lists them.
    bad_rows: Literal["error", "skip"] = "error"
    max_bad_rows: float = 0.1  # skip: the share of a file's rows that may be left out
    bad_rows_file: str = ""  # skip: the list of them; default: bad_rows.jsonl in the run folder
    max_prompt_tokens: int = 512
    overlong_prompts: Literal["skip", "error"] = "skip"  # skipped ones are counted
    max_image_pixels: int = 64_000_000  # more is refused as a decompression bomb
    max_rows: int = 0  # 0: all
    cutoff_len: int = 16384  # SFT: longer rows are dropped and counted, never cut
    demonstrations: list[str] = field(default_factory=list)  # SFT: sharegpt .json files


@dataclass
class RewardSpec:
    """One reward by name (a row of vr1_ray/rewards, package.module:Name or file.py:Name) and its weight in the sum."""

    name: str = MISSING
    weight: float = 1.0
    pool: str = "default"  # which of `reward_pools` scores it
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class RewardPoolConfig:
    """One pool of reward actors; `reward_pools` maps a name to it, and each reward names its pool."""

    num_actors: int = 1  # at the start
    min_actors: int = 0  # autoscaling by queue depth between min and max; 0: num_actors
    max_actors: int = 0
    num_cpus_per_actor: float = 0.5
    num_gpus_per_actor: float = 0.0
    resources: dict[str, float] = field(default_factory=dict)  # custom Ray resources of each actor
    label_selector: dict[str, str] = field(default_factory=dict)  # labels a node must have
    # Per call, which scores the responses of one group. Past it the actor is stopped, and each response is
    # tried alone on another actor; one that fails again is invalid, never reward 0.
    timeout_seconds: float = 60.0


@dataclass
class InvalidRolloutsConfig:
    """Rollouts that no reward could be found for. They never enter a group as reward 0."""

    max_attempts: int = (
        3  # times a sample is drawn, with another seed each; then its group is dropped
    )
    max_rate: float = 0.1  # share of a step's samples; above it the run stops and says why


@dataclass
class AlgorithmConfig:
    """What turns rewards into a loss (Vision-R1, Eq. 1 and 2)."""

    name: str = "grpo"  # a row of vr1_ray/algorithms, or package.module:Name
    clip_low: float = 0.2
    clip_high: float = 0.2
    kl_coef: float = 0.01  # weight of the k3 term; 0 starts no reference actors
    entropy_coef: float = (
        0.0  # weight of an entropy bonus; above 0 it costs a part of the backward pass
    )
    # token_mean: over all response tokens of an update. sequence_mean: over each response, then over responses.
    # constant_length: each response's sum by `loss_length`, then over responses, as Dr. GRPO (arXiv 2503.20783) does.
    loss_aggregation: Literal["token_mean", "sequence_mean", "constant_length"] = "token_mean"
    loss_length: int = 0  # tokens; constant_length needs it, such as the longest stage's budget
    old_logprobs: Literal["trainer", "rollout"] = "trainer"  # who computed pi_old
    # Leave out groups whose rewards are all equal: they have no advantage, only the KL term, and cost as much
    # as the others. The mean is then over the tokens of the groups that stay (as in DAPO, arXiv 2503.14476).
    skip_uninformative_groups: bool = False
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class StageConfig:
    """One PTST stage."""

    max_response_tokens: int = MISSING
    group_size: int = MISSING
    steps: int = MISSING
    enabled: bool = True
    num_engines: int = 0  # rollout engines from this stage on; 0: as many as there are


@dataclass
class CurriculumConfig:
    """The schedule of stages, and the alarms that watch it."""

    name: str = "ptst"
    stages: list[StageConfig] = field(default_factory=list)
    alarm_truncation_rate: float = 0.98  # at or above: nearly all is cut, nothing can be learnt
    alarm_informative_group_rate: float = 0.0  # at or below: no group has a gradient
    max_restarts: int = 3  # of its actor; the driver holds the state
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class CheckpointConfig:
    """What is kept on disk. Paths are POSIX folders that every trainer node sees."""

    every_steps: int = 0  # 0: only at the end
    keep_last: int = 2
    # A step whose evaluation (eval.every_steps) is the best so far by eval.best_by is saved too, and kept.
    keep_best: bool = True
    resume: Literal["auto", "never", "must"] = "auto"
    # What the scheduler gives between SIGTERM and SIGKILL; a checkpoint that takes longer is told.
    # `ray job stop` gives 3 s unless RAY_JOB_STOP_WAIT_TIME_S is set, see examples/TROUBLESHOOTING.md.
    grace_seconds: float = 30.0


@dataclass
class TrackingConfig:
    """Where metrics go. `metrics.jsonl` is always written."""

    console: bool = True
    wandb: bool = False  # offline without a key
    tensorboard: bool = False
    project: str = "vr1_ray"


@dataclass
class ClusterConfig:
    """The Ray cluster: join one by address, or start a local one."""

    address: str | None = (
        None  # None: RAY_ADDRESS if set, else a local cluster; "local": always local
    )
    num_cpus: int = 0  # of a local cluster; 0: what the machine has
    # RL: trainer, reference and engines on GPUs of their own, or taking turns on the trainer's: engines sleep while
    # the others work. See config/placement.py for what colocated asks of the other settings.
    placement: Literal["apart", "colocated"] = "apart"
    start_timeout_seconds: float = 600.0
    step_timeout_seconds: float = 3600.0  # every wait of the loop has this limit
    assume: MachinesConfig | None = None  # the run's machines, for `vr1 check` elsewhere


@dataclass
class FigureMathConfig:
    """Size of the generated dataset (`kind: figure_math`)."""

    num_train: int = 4000
    num_validation: int = 200
    num_test: int = 600
    num_demonstrations: int = 3000
    folder: str = "data/figure_math"


@dataclass
class RunConfig:
    """One run. A recipe chains runs: `steps` maps a name to a mapping of this same form, run in order.

    In a recipe, the keys beside `steps` are the defaults of every step.
    """

    kind: Literal["recipe", "figure_math", "bridge", "sft", "rl", "eval"] = MISSING
    name: str = ""  # the run folder is RUNS_FOLDER/NAME
    runs_folder: str = "runs"
    seed: int = 0
    deterministic: bool = True  # CPU, fp32: the same seed gives bit-identical weights
    num_epochs: float = 1.0  # SFT
    max_steps: int = 0  # SFT: 0 means by epochs; the length of RL is the curriculum's
    prompts_per_step: int = 16  # RL: prompts; SFT: demonstrations of one optimizer update
    allow_base_policy: bool = False  # RL: start from a policy that had no cold start
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    rewards: list[RewardSpec] = field(default_factory=lambda: [RewardSpec(name="hard_format")])
    reward_pools: dict[str, RewardPoolConfig] = field(
        default_factory=lambda: {"default": RewardPoolConfig()}
    )
    invalid_rollouts: InvalidRolloutsConfig = field(default_factory=InvalidRolloutsConfig)
    reference: ReferenceConfig = field(default_factory=ReferenceConfig)
    algorithm: AlgorithmConfig = field(default_factory=AlgorithmConfig)
    curriculum: CurriculumConfig = field(default_factory=CurriculumConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    # Published benchmarks to evaluate on, by name (a row of vr1_ray/evaluation), or a part of one: "mathvista/GPS".
    benchmarks: list[str] = field(default_factory=list)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    figure_math: FigureMathConfig = field(default_factory=FigureMathConfig)
    bridge: BridgeConfig = field(default_factory=BridgeConfig)  # kind: bridge, see config/bridge.py
    steps: dict[str, Any] = field(default_factory=dict)  # recipe: step name -> its settings

    @property
    def folder(self) -> Path:
        """The run folder: config.yaml, metrics.jsonl, checkpoints/, rollouts/, logs/."""
        return Path(self.runs_folder) / self.name

    @property
    def logprob_limits(self) -> dict[str, float]:
        """What engine and trainer may differ by, as metric -> nats."""
        mean, p99 = LOGPROB_LIMITS[self.model.dtype]
        own = self.trainer
        return {
            "logprob_diff/mean": mean if own.alarm_logprob_mean is None else own.alarm_logprob_mean,
            "logprob_diff/p99": p99 if own.alarm_logprob_p99 is None else own.alarm_logprob_p99,
        }

    @property
    def data_here(self) -> DataConfig:
        """`data`, with the list of skipped rows in the run folder if no other file is named."""
        file = self.data.bad_rows_file or str(self.folder / "bad_rows.jsonl")
        return replace(self.data, bad_rows_file=file)

    @property
    def is_colocated(self) -> bool:
        """Whether engines and reference run on the trainer's GPUs. Other kinds than RL have no turns to take."""
        return self.kind == "rl" and self.cluster.placement == "colocated"
