"""The figures of a run or recipe in one place: what its evaluations found, its stages, its seconds. `summary.json` holds it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from vr1_ray.config import RunConfig
from vr1_ray.runs.figures import HELD_OUT_FIGURES
from vr1_ray.runs.run_folder import EVALUATIONS


def summarise(
    recipe: RunConfig, runs: list[RunConfig], results: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """The five figures by policy, the stages of the RL run, and the seconds of each step."""
    evaluations = [content for config in runs for content in evaluations_of(config.folder)]
    summary: dict[str, Any] = {"name": recipe.name, "seed": recipe.seed}
    for figure in HELD_OUT_FIGURES:
        summary[figure] = {
            content["label"]: content["metrics"][figure]
            for content in evaluations
            if figure in content["metrics"]
        }
    summary["benchmarks"] = {
        content["label"]: {
            name: value
            for name, value in content["metrics"].items()
            if name not in HELD_OUT_FIGURES
        }
        for content in evaluations
    }
    summary["num_prompts"] = {content["label"]: len(content["rows"]) for content in evaluations}
    summary["errors"] = {
        content["label"]: dict(
            Counter(row["error"] for row in content["rows"] if "error" in row).most_common()
        )
        for content in evaluations
    }
    summary["stages"] = [stage for result in results.values() for stage in result.get("stages", [])]
    summary["early_ends"] = [
        end for result in results.values() for end in result.get("early_ends", [])
    ]
    summary["wall_seconds"] = {
        name: result.get("wall_seconds", 0.0) for name, result in results.items()
    }
    return summary


def evaluations_of(run_folder: Path) -> list[dict[str, Any]]:
    """The evaluations a run left, oldest first; those in between (`step_...`) stay in their run folder."""
    paths = sorted((run_folder / EVALUATIONS).glob("*.json"), key=lambda path: path.stat().st_mtime)
    return [
        json.loads(path.read_text(encoding="utf-8"))
        for path in paths
        if not path.stem.startswith("step_")
    ]
