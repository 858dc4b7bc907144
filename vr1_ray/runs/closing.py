"""What a run says last: where its result is, and what one does next with it."""

from pathlib import Path
from typing import Any

from vr1_ray.config import RunConfig
from vr1_ray.runs.run_folder import EVALUATIONS

CURVES, REPORT, MODEL_CARD = "curves.png", "report.html", "README.md"


def closing_lines(config: RunConfig, result: dict[str, Any]) -> list[str]:
    """The lines, each with a path that is there or a command; CONFIG stands for the user's.

    Example:
        closing_lines(config, result)[-1]
        # "next: vr1 generate runs/demo/policy --image FIGURE.png --question '...'"
    """
    found = {
        "figure_math": _figure_math,
        "bridge": _bridge,
        "sft": _policy,
        "rl": _policy,
        "eval": _evaluation,
        "filter": _filter,
    }[config.kind](config, result)
    kept = [f"{name:<12} {path}" for name, path in found["paths"].items() if Path(path).exists()]
    return [*kept, *(f"next: {line}" for line in found["next"])]


def _figure_math(config: RunConfig, result: dict[str, Any]) -> dict[str, Any]:
    folder = Path(config.figure_math.folder)
    return {
        "paths": {"data": folder},
        "next": [f"vr1 sft CONFIG 'data.demonstrations=[{folder / 'demonstrations.json'}]'"],
    }


def _bridge(config: RunConfig, result: dict[str, Any]) -> dict[str, Any]:
    dataset = config.folder / "dataset"
    return {
        "paths": {
            "dataset": dataset,
            "data card": dataset / MODEL_CARD,
            "dropped": config.folder / "dropped.jsonl",
        },
        "next": [f"vr1 sft CONFIG 'data.demonstrations=[{dataset / 'demonstrations_llava.json'}]'"],
    }


def _policy(config: RunConfig, result: dict[str, Any]) -> dict[str, Any]:
    policy = config.folder / "policy"
    further = "rl" if config.kind == "sft" else "eval"
    paths = {
        "policy": policy,
        "model card": policy / MODEL_CARD,
        "curves": config.folder / CURVES,
        "report": config.folder / REPORT,
    }
    if "best" in result:
        paths["best"] = Path(result["best"]["checkpoint"]) / "policy"
    return {
        "paths": paths,
        "next": [
            f"vr1 {further} CONFIG model.path={policy}",
            f"vr1 generate {policy} --image FIGURE.png --question '...'",
        ],
    }


def _filter(config: RunConfig, result: dict[str, Any]) -> dict[str, Any]:
    file = result["dataset"]
    root = " 'data.image_root=\"\"'" if config.data.image_root else ""
    return {
        "paths": {"data": file, "pass rates": config.folder / "pass_rates.jsonl"},
        "next": [f"vr1 rl CONFIG data.train={file}{root}"],
    }


def _evaluation(config: RunConfig, result: dict[str, Any]) -> dict[str, Any]:
    label = config.eval.label
    return {
        "paths": {
            "figures": config.folder / EVALUATIONS / f"{label}.json",
            "benchmarks": config.folder / "benchmarks" / label,
        },
        "next": [f"vr1 status {config.folder}"],
    }
