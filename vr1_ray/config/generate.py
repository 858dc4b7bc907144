"""Settings of `vr1 generate`. The engine's and model's own are the run's: `--set model.KEY=... rollout.KEY=...`."""

import re
from dataclasses import dataclass, field, replace

from vr1_ray.config.errors import ConfigError
from vr1_ray.config.fields import numbers_out_of_range
from vr1_ray.config.loading import typed_overrides
from vr1_ray.config.overrides import read_override
from vr1_ray.config.ranges import Above0, Above0To1, CountFrom0, CountFrom1, From0, Seed
from vr1_ray.config.schema import DataConfig, ModelConfig, RolloutConfig
from vr1_ray.config.shape import near_keys


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


# What `--set` may set: the keys of each section that count for one engine that answers questions.
TAKEN = {
    "model": (
        "revision",
        "adapter",
        "dtype",
        "attention",
        "min_pixels",
        "max_pixels",
        "max_model_len",
        "max_images",
        "system_prompt",
        "trust_remote_code",
    ),
    "rollout": (
        "num_threads",
        "tensor_parallel_size",
        "max_concurrent_responses",
        "max_num_seqs",
        "kv_cache_gib",
        "gpu_memory_utilization",
        "options",
    ),
    "data": (
        "split",
        "prompt_column",
        "answer_column",
        "images_column",
        "image_root",
        "bad_rows",
        "max_bad_rows",
        "bad_rows_file",
        "max_image_pixels",
        "index_folder",
    ),
}
OF_ONE_QUESTION = "data.max_image_pixels"  # all that counts of `data` where no rows are read
# What else has the name of an argument.
ARGUMENTS = {
    "model.path": "the policy is the first argument",
    "data.train": "rows are named by --input",
    **{
        f"{section}{name}": f"write --{option}"
        for section in ("", "rollout.")
        for name, option in {
            "engine": "engine",
            "temperature": "temperature",
            "top_p": "top_p",
            "seed": "seed",
            "max_response_tokens": "max_tokens",
            "max_tokens": "max_tokens",
            "num_samples": "num_samples",
            "group_size": "num_samples",
        }.items()
    },
}


def sections(
    overrides: list[str], *, engine: str = "", has_rows: bool = True
) -> tuple[ModelConfig, RolloutConfig, DataConfig]:
    """The settings that `--set key=value ...` gives, the others as they are by default; `has_rows` where --input is.

    Raises ConfigError for what is no setting, or does nothing here.
    """
    read = {override: read_override(override).keys for override in overrides}
    for override, keys in read.items():
        if any(key in ARGUMENTS or key.split(".")[0] not in TAKEN for key in keys):
            cure = ARGUMENTS.get(keys[0]) or _meant(keys[0])
            raise ConfigError(f"--set {override}: not a setting here; {cure}")
    config = typed_overrides(overrides)
    for override, keys in read.items():
        for key in keys:
            section, _, name = key.partition(".")
            if re.split(r"[.\[]", name)[0] not in TAKEN[section]:
                raise ConfigError(
                    f"--set {override}: {key} has no effect on `vr1 generate`; leave it out"
                )
            if section == "data" and not has_rows and key != OF_ONE_QUESTION:
                raise ConfigError(
                    f"--set {override}: {key} is of the rows of --input; give these, or leave it out"
                )
    rollout = replace(config.rollout, engine=engine) if engine else config.rollout
    return config.model, rollout, config.data


def _meant(key: str) -> str:
    """The setting of `TAKEN` that a key which is none was probably meant to be, else how one is written."""
    found = [ARGUMENTS.get(one, f"did you mean {one}?") for one in near_keys(key) if _is_taken(one)]
    return found[0] if found else f"use {', '.join(f'{name}.KEY=value' for name in TAKEN)}"


def _is_taken(key: str) -> bool:
    section, _, name = key.partition(".")
    return key in ARGUMENTS or (not name and section in TAKEN) or name in TAKEN.get(section, ())


def check_settings(config: GenerateConfig) -> None:
    """Raise ConfigError for what can't be asked or sampled like this."""
    if config.source and config.images:
        raise ConfigError("--image and --input: both given; rows of --input name their own images")
    if not config.source and not config.question:
        raise ConfigError("--question: empty; ask something (of an --image), or give --input")
    if config.max_response_tokens < 0:
        raise ConfigError(f"--max_tokens: {config.max_response_tokens} must be above 0")
    if config.num_samples > 1 and config.temperature == 0:
        raise ConfigError(
            f"--num_samples: {config.num_samples} greedy responses are the same; raise --temperature, or ask for one"
        )
    for problem in numbers_out_of_range(config):  # those of model, rollout and data too
        is_argument = "." not in problem.partition(":")[0]
        raise ConfigError(f"--{problem}" if is_argument else problem)
