"""Settings of evaluation: held-out prompts (`eval.data`), published benchmarks, and the judge of the latter.

Which benchmarks are evaluated is `benchmarks`, a key of the run itself: `benchmarks=[mathvista,"mathverse/vision only"]`.
"""

from dataclasses import dataclass, field
from typing import Literal


@dataclass
class JudgeConfig:
    """A language model behind any OpenAI-compatible endpoint, asked where no rule can decide an answer."""

    model: str = ""  # "": no judge; what no rule can decide then counts as wrong, and is counted
    base_url: str | None = None  # None: OpenAI's
    api_key_env: str = "OPENAI_API_KEY"  # "" for a service that wants no key
    timeout_seconds: float = 60.0
    max_attempts: int = (
        3  # of a call that fails; a judgement that can't be read is not asked for again
    )
    backoff_seconds: float = 0.5
    max_concurrent: int = 16
    # Share of the judgements asked for that may be missing (endpoint down, unreadable); above it there is no score.
    max_missing: float = 0.05


@dataclass
class PolicyConfig:
    """A model behind any OpenAI-compatible endpoint, evaluated on `benchmarks` in place of `model.path`: no engine starts."""

    model: str = ""  # "": the policy is model.path, on engines of the run
    base_url: str | None = None  # None: OpenAI's
    api_key_env: str = "OPENAI_API_KEY"  # "" for a service that wants no key
    timeout_seconds: float = 600.0
    max_attempts: int = 3  # of a question that got no response
    backoff_seconds: float = 0.5
    max_concurrent: int = 16
    max_missing: float = (
        0.05  # share of questions that may have no response: they count as wrong; above it no score
    )


@dataclass
class EvalConfig:
    """Evaluation through the run's own engines; of `benchmarks` too, if the run names some."""

    data: str = ""
    split: str = "test"
    max_prompts: int = 0  # 0: all
    max_response_tokens: int = 0  # 0: the longest stage's
    temperature: float = 0.0  # 0 is greedy; the paper samples at 0.6
    top_p: float = 1.0  # paper: 0.95
    at_start: bool = False
    at_end: bool = False
    every_steps: int = 0  # 0: never; the last step is left to `at_end` if that is on
    start_label: str = "start"  # what the policy of `at_start` is called in the results
    label: str = "policy"  # what the evaluated policy is called in the results
    # Which figure tells the best checkpoint: "accuracy" (of eval.data; without it the mean over benchmarks) or
    # one of a benchmark, such as "mathvista" or "mathvista/GPS".
    best_by: str = "accuracy"
    # package.module:function that says of a row without hard reward what kind of error it is; the summary counts them.
    diagnosis: str = ""
    # Holds a folder or file per benchmark, in any published form, see examples/evaluation; "hub": from there.
    benchmarks_folder: str = "hub"
    max_questions: int = 0  # of each benchmark, spread evenly over it; 0: all
    num_samples: int = (
        1  # responses a question of a benchmark: mean@n and pass@k need more than one
    )
    # "paper" repeats the harness that Vision-R1's figures were made with, flaws and all, and says so in the results.
    protocol: Literal["honest", "paper"] = "honest"
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    # A file of responses made elsewhere, or a folder with one per benchmark: they are scored, nothing is asked.
    responses: str = ""
    # A line after each question of a benchmark, by its name: {mathvista: "Answer in the form <answer> ... </answer>."}
    instructions: dict[str, str] = field(default_factory=dict)
    policy: PolicyConfig = field(default_factory=PolicyConfig)

    @property
    def is_elsewhere(self) -> bool:
        """Whether the policy is none of the run's engines: its responses are a file, or an endpoint gives them."""
        return bool(self.responses or self.policy.model)

    @property
    def is_during_training(self) -> bool:
        """Whether an RL run evaluates at all."""
        return self.at_start or self.at_end or self.every_steps > 0
