"""Settings of what a run keeps: checkpoints, metrics, and who may read it."""

from dataclasses import dataclass
from typing import Literal

from vr1_ray.config.ranges import Above0, CountFrom0, CountFrom1


@dataclass
class CheckpointConfig:
    """What is kept on disk. Paths are POSIX folders that every trainer node sees."""

    every_steps: CountFrom0 = 0  # 0: only at the end, and at SIGTERM or Ctrl-C
    keep_last: CountFrom1 = 2  # older ones are removed
    # A step whose evaluation (eval.every_steps) is the best so far by eval.best_by is saved too, and kept.
    keep_best: bool = True
    # auto: from the last checkpoint if there is one. never: start over. must: refuse without one.
    resume: Literal["auto", "never", "must"] = "auto"
    # What the scheduler gives between SIGTERM and SIGKILL; a checkpoint that takes longer is told.
    # `ray job stop` gives 3 s unless RAY_JOB_STOP_WAIT_TIME_S is set, see examples/TROUBLESHOOTING.md.
    grace_seconds: Above0 = 30.0
    # Go on from a checkpoint whose files are another user's: DeepSpeed's are pickles, which run what their writer put in.
    trust_other_users: bool = False


@dataclass
class TrackingConfig:
    """Where metrics go. `metrics.jsonl` is always written."""

    console: bool = True  # a line a step
    wandb: bool = False  # offline without a key
    tensorboard: bool = False  # event files in the run folder
    project: str = "vr1_ray"  # wandb's
    # Let others read what the umask lets them: logs, rollouts, evaluations, benchmarks, control.json and the lock are
    # else for who started the run alone.
    share: bool = False
