"""Settings of `kind: bridge`: cold-start data built by modality bridging (Vision-R1, section 3.3.1)."""

from dataclasses import dataclass, field
from typing import Any, Literal

from omegaconf import MISSING

from vr1_ray.config.paths import PathText
from vr1_ray.config.ranges import Above0, CountFrom0, CountFrom1, From0


@dataclass
class BridgeSourceConfig:
    """One source of questions with images."""

    reader: str = MISSING  # a row of vr1_ray/bridging/readers, or package.module:Name
    path: PathText = MISSING  # a .jsonl, .json or .parquet file
    image_root: PathText = ""  # folder that image paths may not leave; default: the file's folder


@dataclass
class EndpointConfig:
    """One model behind OpenAI-compatible servers: a hosted one, `vllm serve`, any."""

    model: str = ""  # as the server calls it
    base_urls: list[str] = field(default_factory=list)  # .../v1; a retry goes to the next one
    api_key_env: str = ""  # the name of the environment variable with the key, never the key
    # A server the run starts itself, words of a command; `{port}` is filled in. It is stopped with the run.
    command: list[str] = field(default_factory=list)
    start_timeout_seconds: Above0 = 300.0  # of `command`
    request: dict[str, Any] = field(default_factory=dict)  # temperature, max_tokens, extra_body ...
    send_seed: bool = True  # a seed per candidate; for servers that refuse it, false
    num_actors: CountFrom1 = (
        1  # that ask; all limits below are of the model and are shared out among them
    )
    num_cpus_per_actor: From0 = 0.2  # reserved
    max_concurrent: CountFrom1 = 64  # requests open at once
    requests_per_minute: From0 = 0.0  # 0: no limit
    tokens_per_minute: From0 = 0.0  # prompt and completion; 0: no limit
    timeout_seconds: Above0 = 600.0  # of one request
    max_attempts: CountFrom1 = 5  # of one request
    backoff_seconds: From0 = 1.0  # doubled at each attempt; a longer Retry-After is kept
    input_price: From0 = 0.0  # of a million prompt tokens, in any currency
    output_price: From0 = 0.0  # of a million completion tokens


@dataclass
class RehearsalConfig:
    """A rehearsal on figures drawn by code, with scripted servers that err at known rates, and an audit.

    The run draws the questions, which are its only source; the servers are named in `mllm.command` and
    `reasoner.command` (vr1_ray/figure_math/rehearsal_server.py), where `{data}` and `{ledger}` are filled in too.
    """

    num_questions: CountFrom0 = 0  # 0: no rehearsal
    # Bridge a second time with the answer kept from the reasoner, to compare.
    without_answer: bool = True


@dataclass
class BridgeConfig:
    """The pipeline: pseudo-CoT -> description -> reasoning -> rules and rewriting -> dataset."""

    sources: list[BridgeSourceConfig] = field(default_factory=list)  # read one after the other
    max_rows: CountFrom0 = 0  # over all sources; 0: all
    max_image_pixels: CountFrom1 = 64_000_000  # more is refused as a decompression bomb
    mllm: EndpointConfig = field(default_factory=EndpointConfig)  # sees the image
    reasoner: EndpointConfig = field(default_factory=EndpointConfig)  # sees text alone
    # reuse: the caption and reasoning that the source has (LLaVA-CoT, Mulberry); rows without are asked for
    pseudo_cot: Literal["ask", "reuse"] = "ask"
    reasoner_sees_answer: bool = True  # as the paper's author says it was
    prompts: PathText = ""  # folder of templates that replace those of vr1_ray/bridging/prompts
    rules: PathText = ""  # YAML in place of vr1_ray/bridging/rules.yaml
    max_candidates: CountFrom1 = 1  # chains asked for of one question, at most
    candidates_at_once: CountFrom1 = (
        1  # a question is done after the round in which one passed the rules
    )
    select: Literal["first", "shortest", "longest"] = "first"  # of those that passed
    rows_per_block: CountFrom1 = (
        32  # rows that travel together; a block is done when its slowest row is
    )
    rows_per_shard: CountFrom1 = 20_000  # of the parquet files
    num_samples: CountFrom0 = 12  # shown in the data card
    progress_seconds: Above0 = 10.0  # between two lines of progress
    rehearsal: RehearsalConfig = field(default_factory=RehearsalConfig)
