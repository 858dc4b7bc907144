"""Policy folders: Hugging Face format plus a small card that says how the policy came about."""

import json
import shutil
from pathlib import Path

from vr1_ray.actors.fleet import Fleet
from vr1_ray.config import RunConfig
from vr1_ray.loops.run_folder import write_json
from vr1_ray.preflight.inputs import POLICY_CARD

WORDS = {"sft": "cold_start", "rl": "rl"}


def write_policy(fleet: Fleet, config: RunConfig, folder: Path) -> None:
    """Write the trainers' policy to FOLDER, with a card of all runs that made it."""
    assert fleet.trainers is not None
    unfinished = folder.with_name(f"unfinished_{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    fleet.trainers.save_policy(unfinished)
    source = Path(config.model.path) / POLICY_CARD
    history = json.loads(source.read_text())["history"] if source.is_file() else []
    if not history or history[-1] != WORDS[config.kind]:
        history = [*history, WORDS[config.kind]]
    write_json(
        unfinished / POLICY_CARD,
        {"history": history, "run": config.name, "base": config.model.path},
    )
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
