"""Settings of `kind: bridge`: cold-start data built by modality bridging (Vision-R1, section 3.3.1)."""

from dataclasses import dataclass, field
from typing import Any, Literal

from omegaconf import MISSING


@dataclass
class BridgeSourceConfig:
    """One source of questions with images."""

    reader: str = MISSING  # a row of vr1_ray/bridging/readers, or package.module:Name
    path: str = MISSING  # a .jsonl, .json or .parquet file
    image_root: str = ""  # folder that image paths may not leave; default: the file's folder


@dataclass
class EndpointConfig:
    """One model behind OpenAI-compatible servers: a hosted one, `vllm serve`, any."""

    model: str = ""
    base_urls: list[str] = field(default_factory=list)  # .../v1; a retry goes to the next one
    api_key_env: str = ""  # the name of the environment variable with the key, never the key
    # A server the run starts itself, words of a command; `{port}` is filled in. It is stopped with the run.
    command: list[str] = field(default_factory=list)
    start_timeout_seconds: float = 300.0  # of `command`
    request: dict[str, Any] = field(default_factory=dict)  # temperature, max_tokens, extra_body ...
    send_seed: bool = True  # a seed per candidate; for servers that refuse it, false
    num_actors: int = 1  # that ask; all limits below are of the model and are shared out among them
    num_cpus_per_actor: float = 0.2
    max_concurrent: int = 64  # requests open at once
    requests_per_minute: float = 0.0  # 0: no limit
    tokens_per_minute: float = 0.0  # prompt and completion; 0: no limit
    timeout_seconds: float = 600.0  # of one request
    max_attempts: int = 5
    backoff_seconds: float = 1.0  # doubled at each attempt; a longer Retry-After is kept
    input_price: float = 0.0  # of a million prompt tokens, in any currency
    output_price: float = 0.0  # of a million completion tokens


@dataclass
class RehearsalConfig:
    """A rehearsal on figures drawn by code, with scripted servers that err at known rates, and an audit.

    The run draws the questions, which are its only source; the servers are named in `mllm.command` and
    `reasoner.command` (vr1_ray/figure_math/rehearsal_server.py), where `{data}` and `{ledger}` are filled in too.
    """

    num_questions: int = 0  # 0: no rehearsal
    without_answer: bool = (
        True  # bridge a second time with the answer kept from the reasoner, to compare
    )


@dataclass
class BridgeConfig:
    """The pipeline: pseudo-CoT -> description -> reasoning -> rules and rewriting -> dataset."""

    sources: list[BridgeSourceConfig] = field(default_factory=list)
    max_rows: int = 0  # over all sources; 0: all
    max_image_pixels: int = 64_000_000  # more is refused as a decompression bomb
    mllm: EndpointConfig = field(default_factory=EndpointConfig)  # sees the image
    reasoner: EndpointConfig = field(default_factory=EndpointConfig)  # sees text alone
    # reuse: the caption and reasoning that the source has (LLaVA-CoT, Mulberry); rows without are asked for
    pseudo_cot: Literal["ask", "reuse"] = "ask"
    reasoner_sees_answer: bool = True  # as the paper's author says it was
    prompts: str = ""  # folder of templates that replace those of vr1_ray/bridging/prompts
    rules: str = ""  # YAML in place of vr1_ray/bridging/rules.yaml
    max_candidates: int = 1  # chains asked for of one question, at most
    candidates_at_once: int = 1  # a question is done after the round in which one passed the rules
    select: Literal["first", "shortest", "longest"] = "first"  # of those that passed
    rows_per_block: int = 32  # rows that travel together; a block is done when its slowest row is
    rows_per_shard: int = 20_000  # of the parquet files
    num_samples: int = 12  # shown in the data card
    progress_seconds: float = 10.0
    rehearsal: RehearsalConfig = field(default_factory=RehearsalConfig)
