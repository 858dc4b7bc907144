"""Policy folders: Hugging Face format plus two cards, one for people (README.md) and one for this code."""

import shutil
from pathlib import Path

from vr1_ray.actors.fleet import Fleet
from vr1_ray.config import RunConfig
from vr1_ray.models.card import POLICY_CARD, read_card
from vr1_ray.runs.lock import look
from vr1_ray.runs.model_card import OLDER, model_card, words_of
from vr1_ray.runs.run_folder import write_json

WORDS = {"sft": "cold_start", "rl": "rl"}
MODEL_CARD = "README.md"


def write_policy(fleet: Fleet, config: RunConfig, folder: Path) -> None:
    """Write the trainers' policy to FOLDER, with a card of all runs that made it."""
    assert fleet.trainers is not None
    look(folder.parent)  # before the ranks write
    unfinished = folder.with_name(f"unfinished_{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    fleet.trainers.save_policy(unfinished)
    before = read_card(config.model.path)
    history = before.get("history", [])
    told = before.get("told") or [OLDER.get(word, word) for word in history]
    if not history or history[-1] != WORDS[config.kind]:
        history = [*history, WORDS[config.kind]]
    if not told or told[-1] != words_of(config):
        told = [*told, words_of(config)]
    base = before.get("first_base", config.model.path)
    card = {
        "history": history,
        "told": told,  # the same in words, by the names of each part's algorithm and curriculum
        "run": config.name,
        "base": config.model.path,
        "first_base": base,
        "system_prompt": config.model.system_prompt,
        "max_response_tokens": longest_response(config),
    }
    write_json(unfinished / POLICY_CARD, card)
    ends = fleet.curriculum.early_ends if fleet.curriculum is not None else ()
    text = model_card(config, history=history, base=base, told=told, early_ends=ends)
    (unfinished / MODEL_CARD).write_text(text, encoding="utf-8")
    _with_usual_modes(unfinished)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)


def _with_usual_modes(folder: Path) -> None:
    """Give all files the mode that the umask gives a new one: safetensors writes its own for the owner alone."""
    usual = (folder / MODEL_CARD).stat().st_mode
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(usual)


def longest_response(config: RunConfig) -> int:
    """The most tokens of a response that training can have shown: of the longest stage, or what a demonstration may have."""
    if config.kind == "rl":
        return max(stage.max_response_tokens for stage in config.curriculum.stages if stage.enabled)
    return min(config.data.cutoff_len, config.model.max_model_len)
