"""Every setting of a run, as typed dataclasses with a comment per field.

A config is data: nothing writes to it after loading, and this module imports nothing it configures.
`loading.py` reads YAML and overrides into these classes, `checks.py` holds the cross-field rules.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from omegaconf import MISSING

from vr1_ray.config.algorithm import AlgorithmConfig
from vr1_ray.config.blindness import BlindnessConfig
from vr1_ray.config.bridge import BridgeConfig
from vr1_ray.config.evaluation import EvalConfig
from vr1_ray.config.filter import FilterConfig
from vr1_ray.config.keeping import CheckpointConfig, TrackingConfig
from vr1_ray.config.machines import MachinesConfig
from vr1_ray.config.ranges import (
    Above0,
    AnyNumber,
    CountFrom0,
    CountFrom1,
    CountFrom2,
    From0,
    Range,
    Seed,
    Share,
)
from vr1_ray.config.reference import ReferenceConfig
from vr1_ray.config.rollout import RolloutConfig
from vr1_ray.config.trainer import LOGPROB_LIMITS, TrainerConfig


@dataclass
class ModelConfig:
    """Which vision-language model, and how its images are scaled."""

    path: str = ""  # local folder or hub name in Hugging Face format
    revision: str | None = None  # of a hub name: a branch, tag or commit
    # Of a family kept outside: package.module:Name; "": by config.json's model_type.
    adapter: str = ""
    dtype: Literal["float32", "bfloat16"] = "float32"  # bfloat16 on GPU, float32 on CPU
    # Of trainer and reference. auto: flash_attention_2 where it is installed (bfloat16 on GPU), else sdpa.
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = "auto"
    # Images with fewer pixels are enlarged; the same in SFT, RL and evaluation.
    min_pixels: CountFrom1 = 3136
    max_pixels: CountFrom1 = 1_003_520  # images with more pixels are shrunk
    max_model_len: CountFrom1 = 1024  # prompt plus response tokens; covers the longest stage
    # Of one prompt; data with more is refused before an engine, set to it, starts.
    max_images: CountFrom1 = 8
    freeze_vision_tower: bool = False  # paper: frozen in cold start, trained in RL
    freeze_projector: bool = False  # the merger between vision tower and language model
    system_prompt: str | None = None  # None sends no system message
    trust_remote_code: bool = False  # run the model's own Python files; of sources you trust


@dataclass
class DataConfig:
    """Where rows come from. `train` etc. are a local .parquet/.jsonl/.json file, a folder or a hub name."""

    train: str = ""  # RL: prompts
    revision: str | None = None  # of a hub name: a branch, tag or commit
    split: str = "train"  # split of a hub name or folder
    prompt_column: str = "problem"  # the question
    answer_column: str = "answer"  # the reference answer
    images_column: str = "images"  # "": text alone, whatever other columns hold
    image_root: str = ""  # image paths may not leave it; default: the data file's folder
    # Rows that can't be used: "error" refuses the file, "skip" leaves them out, counts and lists them.
    bad_rows: Literal["error", "skip"] = "error"
    max_bad_rows: Share = 0.1  # skip: the share of a file's rows that may be left out
    bad_rows_file: str = ""  # skip: the list of them; default: bad_rows.jsonl in the run folder
    max_prompt_tokens: CountFrom1 = 512  # text and images, as the model's template makes them
    overlong_prompts: Literal["skip", "error"] = "skip"  # skipped ones are counted
    max_image_pixels: CountFrom1 = 64_000_000  # more is refused as a decompression bomb
    max_rows: CountFrom0 = 0  # 0: all
    # What was checked, so that the next start opens no picture, and pictures that were unpacked from texts or a
    # stream. "": data_index in runs_folder, which its runs share.
    index_folder: str = ""
    streaming: bool = False  # read a hub name over the network, without a copy of it here
    cutoff_len: CountFrom1 = 16384  # SFT: longer rows are dropped and counted, never cut
    demonstrations: list[str] = field(default_factory=list)  # SFT: sharegpt .json files
    # SFT: the share of demonstrations that may earn no reward in RL (no format, or a wrong answer where the right one
    # is known); 1 turns this off, for a cold start without chains or with a format of its own.
    max_unrewarded_share: Share = 0.1


@dataclass
class RewardSpec:
    """One reward by name (a row of vr1_ray/rewards, package.module:Name or file.py:Name) and its weight in the sum."""

    name: str = MISSING  # a row of vr1_ray/rewards, or package.module:Name
    weight: AnyNumber = 1.0  # of its value in the sum; below 0 it is a penalty
    pool: str = "default"  # which of `reward_pools` scores it
    options: dict[str, Any] = field(default_factory=dict)  # keyword arguments of the reward


@dataclass
class RewardPoolConfig:
    """One pool of reward actors; `reward_pools` maps a name to it, and each reward names its pool."""

    num_actors: CountFrom1 = 1  # at the start
    min_actors: CountFrom0 = 0  # autoscaling by queue depth between min and max; 0: num_actors
    max_actors: CountFrom0 = 0  # the most that autoscaling starts; 0: num_actors
    num_cpus_per_actor: From0 = 0.5  # reserved
    num_gpus_per_actor: From0 = 0.0  # reserved, for a reward that is a model
    resources: dict[str, From0] = field(default_factory=dict)  # custom Ray resources of each actor
    label_selector: dict[str, str] = field(default_factory=dict)  # labels a node must have
    # Per call, which scores the responses of one group. Past it the actor is stopped, and each response is
    # tried alone on another actor; one that fails again is invalid, never reward 0.
    timeout_seconds: Above0 = 60.0
    # A judge or service that is down, which says nothing of a response, is asked again after 1, 2, 4 ... 30 s for so
    # long; then its rollouts are invalid. It is waited for within cluster.step_timeout_seconds.
    outage_seconds: From0 = 900.0


@dataclass
class InvalidRolloutsConfig:
    """Rollouts that no reward could be found for. They never enter a group as reward 0."""

    # Times a sample is drawn, with another seed each; then its group is dropped.
    max_attempts: CountFrom1 = 3
    max_rate: Share = 0.1  # share of a step's samples; above it the run stops and says why
    # Share for which a reward raised (not: was unavailable), above which the run stops; one sample is always allowed
    # unless this is 0. What is drawn in their place is no fair sample.
    max_error_rate: Share = 0.05


@dataclass
class StageConfig:
    """One PTST stage."""

    max_response_tokens: CountFrom1 = MISSING  # the response budget: what is longer is cut
    group_size: CountFrom2 = MISSING  # responses a prompt, which are compared with each other
    steps: CountFrom1 = MISSING  # how long it lasts
    enabled: bool = (
        True  # a stage that is not is as if it weren't there: stage 1 is the first enabled one
    )
    num_engines: CountFrom0 = 0  # rollout engines from this stage on; 0: as many as there are


@dataclass
class CurriculumConfig:
    """The schedule of stages, and the alarms that watch it."""

    name: str = "ptst"  # a row of vr1_ray/curriculum, or package.module:Name
    stages: list[StageConfig] = field(default_factory=list)  # in order
    # Share of cut responses at or above which nothing can be learnt; above 1: no alarm.
    alarm_truncation_rate: From0 = 0.98
    # Share of groups with a gradient at or below which nothing is learnt; below 0: no alarm.
    alarm_informative_group_rate: Annotated[float, Range(most=1.0)] = 0.0
    max_restarts: CountFrom0 = 3  # of its actor, 0: never; the driver holds the state
    options: dict[str, Any] = field(default_factory=dict)  # keyword arguments of the curriculum


@dataclass
class ClusterConfig:
    """The Ray cluster: join one by address, or start a local one."""

    # None: RAY_ADDRESS if set, else a local cluster; "local": always local.
    address: str | None = None
    num_cpus: CountFrom0 = 0  # of a local cluster; 0: what the machine has
    # RL: trainer, reference and engines on GPUs of their own, or taking turns on the trainer's: engines sleep while
    # the others work. See config/placement.py for what colocated asks of the other settings.
    placement: Literal["apart", "colocated"] = "apart"
    start_timeout_seconds: Above0 = 600.0  # for the actors, engines and models included
    step_timeout_seconds: Above0 = 3600.0  # every wait of the loop has this limit
    assume: MachinesConfig | None = None  # the run's machines, for `vr1 check` elsewhere


@dataclass
class FigureMathConfig:
    """Size of the generated dataset (`kind: figure_math`)."""

    num_train: CountFrom1 = 4000  # questions of train.parquet
    num_validation: CountFrom1 = 200  # of validation.parquet
    num_test: CountFrom1 = 600  # of test.parquet
    num_demonstrations: CountFrom1 = 3000  # of demonstrations.json, for a cold start
    folder: str = "data/figure_math"  # where the files are written


@dataclass
class RunConfig:
    """One run. A recipe chains runs: `steps` maps a name to a mapping of this same form, run in order.

    In a recipe, the keys beside `steps` are the defaults of every step.
    """

    # What it does: chains runs, draws data, bridges data, trains on demonstrations, trains by rewards, evaluates, keeps
    # the prompts that a policy is sometimes right on.
    kind: Literal["recipe", "figure_math", "bridge", "sft", "rl", "eval", "filter"] = MISSING
    name: str = ""  # the run folder is RUNS_FOLDER/NAME
    runs_folder: str = "runs"  # all run folders lie in it
    seed: Seed = 0  # of everything that is drawn
    deterministic: bool = True  # CPU, fp32: the same seed gives bit-identical weights
    num_epochs: Above0 = 1.0  # SFT: passes over the demonstrations
    max_steps: CountFrom0 = 0  # SFT: 0 means by epochs; the length of RL is the curriculum's
    prompts_per_step: CountFrom1 = 16  # RL: prompts; SFT: demonstrations of one optimizer update
    allow_base_policy: bool = False  # RL: start from a policy that had no cold start
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    # RL: what a response earns; [hard_format] is short for [{name: hard_format}].
    rewards: list[RewardSpec] = field(default_factory=lambda: [RewardSpec(name="hard_format")])
    # RL: the actors that score, by name.
    reward_pools: dict[str, RewardPoolConfig] = field(
        default_factory=lambda: {"default": RewardPoolConfig()}
    )
    invalid_rollouts: InvalidRolloutsConfig = field(default_factory=InvalidRolloutsConfig)
    reference: ReferenceConfig = field(default_factory=ReferenceConfig)
    algorithm: AlgorithmConfig = field(default_factory=AlgorithmConfig)
    curriculum: CurriculumConfig = field(default_factory=CurriculumConfig)
    blindness: BlindnessConfig = field(default_factory=BlindnessConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    # Published benchmarks to evaluate on, by name (a row of vr1_ray/evaluation), or a part of one: "mathvista/GPS".
    benchmarks: list[str] = field(default_factory=list)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    figure_math: FigureMathConfig = field(default_factory=FigureMathConfig)
    bridge: BridgeConfig = field(default_factory=BridgeConfig)  # kind: bridge, see config/bridge.py
    filter: FilterConfig = field(default_factory=FilterConfig)  # `vr1 filter`, kind: filter
    # Written by `vr1_ray.run`: what Python handed over as objects, name -> what it was. See config/objects.py.
    objects: dict[str, str] = field(default_factory=dict)
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
        """`data`, with the list of skipped rows in the run folder and the index beside it, if no others are named."""
        file = self.data.bad_rows_file or str(self.folder / "bad_rows.jsonl")
        index = self.data.index_folder or str(Path(self.runs_folder) / "data_index")
        return replace(self.data, bad_rows_file=file, index_folder=index)

    @property
    def is_colocated(self) -> bool:
        """Whether engines and reference run on the trainer's GPUs. Other kinds than RL have no turns to take."""
        return self.kind == "rl" and self.cluster.placement == "colocated"
