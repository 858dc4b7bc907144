"""The folder of a run: what it may be resumed from, and what a finished run leaves.

runs/NAME/  config.yaml  configs/  metrics.jsonl  checkpoints/  policy/  rollouts/  logs/  evaluations/  benchmarks/  result.json
"""

import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from vr1_ray.config import ConfigError, RunConfig, config_text, save_config
from vr1_ray.config.given import flat
from vr1_ray.runs.checkpoints import Checkpoint, Checkpoints, TornCheckpointsError, other_owner
from vr1_ray.tracking.jsonl import METRICS, NOTES
from vr1_ray.tracking.privacy import make_folders

# What may not change between the parts of one run: with another value the metrics would not be one curve.
IDENTITY = (
    "kind",
    "seed",
    "prompts_per_step",
    "num_epochs",
    "max_steps",
    "model",
    "data",
    "algorithm",
    "rewards",
    "objects",
)
CONTINUES = (
    "curriculum",
    "eval",
    "bridge",
    "benchmarks",
)  # a finished run with others of these goes on
FROM_PYTHON = (
    ". Rewards or data of it are objects of a Python program: to go on, hand vr1_ray.run the same"
)
CONFIG = "config.yaml"
EVALUATIONS = "evaluations"
RESULT = "result.json"
STARTS = "configs"  # the resolved config of each start

logger = logging.getLogger(__name__)


def open_run(config: RunConfig) -> Checkpoint | None:
    """Make the run folder ready; return the checkpoint to resume from, or None for a fresh start.

    Raises ConfigError if the folder holds a run with other settings, nothing to resume with resume=must, or
    torn checkpoints alone: what was trained is not thrown away unasked.
    """
    checkpoints = Checkpoints(config.folder)
    if config.checkpoint.resume == "never":
        clear_run(config)
    for path in checkpoints.remove_unfinished():
        logger.info("%s: removed, a start that was killed had not finished it", path)
    try:
        latest = checkpoints.latest()
    except TornCheckpointsError as error:
        raise ConfigError(
            f"{error}\ncheckpoint.resume: {config.checkpoint.resume}, but no checkpoint is sound; "
            "restore one from a copy, or start over with checkpoint.resume=never"
        ) from error
    if latest is None and config.checkpoint.resume == "must":
        raise ConfigError(
            f"checkpoint.resume: must, but {checkpoints.folder} holds no complete checkpoint"
        )
    if latest is not None:
        _check_same_run(config)
        check_owner(latest.folder, config)
    else:
        clear_run(config)
    keep_config(config, is_resumed=latest is not None)
    return latest


def check_owner(checkpoint: Path, config: RunConfig) -> None:
    """Raise ConfigError for a checkpoint of another user: to load DeepSpeed's files is to run what their writer put in."""
    if not config.checkpoint.trust_other_users and (found := other_owner(checkpoint)):
        raise ConfigError(
            f"checkpoint.trust_other_users: false, but {found}, and DeepSpeed's files run code of who wrote them; if you "
            "trust that user with your account set it to true, else start over with checkpoint.resume=never"
        )


def keep_config(config: RunConfig, *, is_resumed: bool) -> None:
    """Write the resolved config: config.yaml is that of the latest start, configs/start_NNNN.yaml that of each.

    What a resumed run has changed since its last start is told, and stands on top of the latter.
    """
    keep_private(config)
    changes = changes_since(config) if is_resumed else []
    for change in changes:
        logger.info("%s: %s", config.name, change)
    starts = config.folder / STARTS
    starts.mkdir(parents=True, exist_ok=True)
    number = len(list(starts.glob("start_*.yaml"))) + 1
    text = "".join(f"# {change}\n" for change in changes) + config_text(config)
    (starts / f"start_{number:04d}.yaml").write_text(text, encoding="utf-8")
    save_config(config, config.folder / CONFIG)


def keep_private(config: RunConfig) -> None:
    """Make the folders whose content is for who started the run alone; `tracking.share` leaves them to the umask."""
    is_evaluated = config.kind == "eval" or config.eval.is_during_training
    used = {
        "logs": True,
        "rollouts": config.kind == "rl" and config.rollout.save != "none",
        EVALUATIONS: config.kind in ("rl", "eval") and is_evaluated,
        "benchmarks": config.kind in ("rl", "eval") and bool(config.benchmarks),
    }
    names = tuple(name for name, is_used in used.items() if is_used)
    make_folders(config.folder, names, is_shared=config.tracking.share)


def changes_since(config: RunConfig) -> list[str]:
    """What differs from the config of the run's last start, a line a key: nothing on a first start."""
    path = config.folder / CONFIG
    if not path.is_file():
        return []
    before = flat(yaml.safe_load(path.read_text(encoding="utf-8")))
    now = flat(yaml.safe_load(config_text(config)))
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    return [
        f"{key}: {_shown(before, key)} -> {_shown(now, key)} since the last start" for key in keys
    ]


def _shown(tree: dict[str, Any], key: str) -> str:
    return json.dumps(tree[key]) if key in tree else "not there"


def clear_run(config: RunConfig) -> None:
    """Remove what an earlier run of this name left; not the answers that an evaluation may go on from."""
    goes_on = config.kind == "eval" and config.checkpoint.resume != "never"
    benchmarks = () if goes_on else ("benchmarks",)
    for name in (
        "checkpoints",
        "rollouts",
        EVALUATIONS,
        "logs",
        "policy",
        "replay",
        STARTS,
        *benchmarks,
    ):
        shutil.rmtree(config.folder / name, ignore_errors=True)
    for folder in config.folder.glob("reference_stage_*"):
        shutil.rmtree(folder)
    for name in (METRICS, NOTES, RESULT):
        (config.folder / name).unlink(missing_ok=True)


def finished_result(config: RunConfig) -> dict[str, Any] | None:
    """The result of this run if it is finished already and may be kept (resume=auto or must).

    A finished run whose curriculum or evaluation has changed since is not: it goes on, for instance with
    a further stage.
    """
    path = config.folder / RESULT
    if config.checkpoint.resume == "never" or not path.is_file():
        return None
    _check_same_run(config)
    if _changed(config, CONTINUES):
        return None
    for change in changes_since(config):
        logger.info("%s: finished, so without effect: %s", config.name, change)
    return json.loads(path.read_text(encoding="utf-8"))


def write_result(config: RunConfig, result: dict[str, Any]) -> dict[str, Any]:
    """Mark the run finished: result.json is there only if all of it was done."""
    write_json(config.folder / RESULT, result)
    return result


def write_json(path: Path, content: Any) -> None:
    """Write JSON so that a reader never sees half of it. Raises OSError; nothing of it takes room then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    try:
        unfinished.write_text(json.dumps(content, indent=1), encoding="utf-8")
        os.replace(unfinished, path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def _check_same_run(config: RunConfig) -> None:
    changed = _changed(config, IDENTITY)
    if changed:
        raise ConfigError(
            f"{', '.join(changed)}: changed since the run in {config.folder} was started; give the new run another "
            f"name=..., or start over with checkpoint.resume=never{FROM_PYTHON if 'objects' in changed else ''}"
        )


def _changed(config: RunConfig, keys: tuple[str, ...]) -> list[str]:
    """Which of the config's keys differ from those the run folder was made with."""
    path = config.folder / CONFIG
    if not path.is_file():
        return []
    before = yaml.safe_load(path.read_text(encoding="utf-8"))
    now = yaml.safe_load(config_text(config))
    return [key for key in keys if (before.get(key) or None) != (now.get(key) or None)]
