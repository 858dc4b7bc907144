"""Settings of evaluation: held-out prompts (`eval.data`), published benchmarks, and the judge of the latter.

Which benchmarks are evaluated is `benchmarks`, a key of the run itself: `benchmarks=[mathvista,"mathverse/vision only"]`.
"""

from dataclasses import dataclass, field
from typing import Literal

from vr1_ray.config.paths import PathText
from vr1_ray.config.ranges import Above0, Above0To1, CountFrom0, CountFrom1, From0, Share


@dataclass
class JudgeConfig:
    """A language model behind any OpenAI-compatible endpoint, asked where no rule can decide an answer."""

    model: str = ""  # "": no judge; what no rule can decide then counts as wrong, and is counted
    base_url: str | None = None  # None: OpenAI's
    api_key_env: str = "OPENAI_API_KEY"  # "" for a service that wants no key
    timeout_seconds: Above0 = 60.0  # of one call
    # Of a call that fails; a judgement that can't be read is not asked for again.
    max_attempts: CountFrom1 = 3
    backoff_seconds: From0 = 0.5  # before the second attempt; doubled at each further one
    max_concurrent: CountFrom1 = 16  # calls open at once
    # Share of the judgements asked for that may be missing (endpoint down, unreadable); above it there is no score.
    max_missing: Share = 0.05


@dataclass
class PolicyConfig:
    """A model behind any OpenAI-compatible endpoint, evaluated on `benchmarks` in place of `model.path`: no engine starts."""

    model: str = ""  # "": the policy is model.path, on engines of the run
    base_url: str | None = None  # None: OpenAI's
    api_key_env: str = "OPENAI_API_KEY"  # "" for a service that wants no key
    timeout_seconds: Above0 = 600.0  # of one call
    max_attempts: CountFrom1 = 3  # of a question that got no response
    backoff_seconds: From0 = 0.5  # before the second attempt; doubled at each further one
    max_concurrent: CountFrom1 = 16  # calls open at once
    max_missing: Share = (
        0.05  # of the questions, without a response: they count as wrong; above it no score
    )


@dataclass
class EvalConfig:
    """Evaluation through the run's own engines; of `benchmarks` too, if the run names some."""

    data: PathText = ""  # held-out prompts: a file, folder or hub name as in data.train
    split: str = "test"  # of a hub name or folder
    max_prompts: CountFrom0 = 0  # of eval.data; 0: all
    max_response_tokens: CountFrom0 = 0  # 0: the longest stage's
    temperature: From0 = 0.0  # 0 is greedy; the paper samples at 0.6
    top_p: Above0To1 = 1.0  # with a temperature; paper: 0.95
    at_start: bool = False  # of an RL run: the policy it begins with
    at_end: bool = False  # of an RL run: the trained policy
    every_steps: CountFrom0 = (
        0  # of an RL run; 0: never; the last step is left to `at_end` if that is on
    )
    start_label: str = "start"  # what the policy of `at_start` is called in the results
    label: str = "policy"  # what the evaluated policy is called in the results
    # Which figure tells the best checkpoint: "accuracy" (of eval.data; without it the mean over benchmarks) or
    # one of a benchmark, such as "mathvista" or "mathvista/GPS".
    best_by: str = "accuracy"
    # package.module:function that says of a row without hard reward what kind of error it is; the summary counts them.
    diagnosis: str = ""
    # Holds a folder or file per benchmark, in any published form, see examples/evaluation; "hub": from there.
    benchmarks_folder: PathText = "hub"
    max_questions: CountFrom0 = 0  # of each benchmark, spread evenly over it; 0: all
    # Responses a question of a benchmark: mean@n and pass@k need more than one.
    num_samples: CountFrom1 = 1
    # "paper" repeats the harness that Vision-R1's figures were made with, flaws and all, and says so in the results.
    protocol: Literal["honest", "paper"] = "honest"
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    # A file of responses made elsewhere, or a folder with one per benchmark: they are scored, nothing is asked.
    responses: PathText = ""
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
