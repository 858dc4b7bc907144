"""What a run's training data shares with `benchmarks`: a part of `vr1 check`. The rules: `evaluation/contamination.py`.

vr1 check configs/vision_r1/rl_7b.yaml benchmarks=[mathvista,math_vision]
"""

from dataclasses import asdict, replace
from pathlib import Path

from vr1_ray.config import RunConfig
from vr1_ray.data import load_demonstrations, load_prompts
from vr1_ray.data.refusals import BadRows
from vr1_ray.evaluation import load_selections
from vr1_ray.evaluation.contamination import TrainingIndex
from vr1_ray.runs.run_folder import write_json
from vr1_ray.types import Prompt

REPORT = "contamination.json"


def contamination_lines(config: RunConfig) -> list[str]:
    """A line per benchmark of an SFT or RL run, and every leak in contamination.json of the run folder.

    Raises ConfigError or DataError if data or benchmarks can't be read.
    """
    if config.benchmarks and config.kind == "recipe":
        return [
            f"benchmarks: not compared with training data, for {config.name} is a recipe; check the config of a step"
        ]
    if not config.benchmarks or config.kind not in ("sft", "rl"):
        return []
    index = TrainingIndex(training_prompts(config))
    whole = replace(config.eval, max_questions=0, protocol="honest", instructions={})
    selections = load_selections(
        config.benchmarks,
        whole,
        max_image_pixels=config.data.max_image_pixels,
        bad_rows=BadRows.of(config.data_here),
    )
    found = [
        index.compare(one.name, [(q.question_id, q.prompt) for q in one.questions])
        for one in selections
    ]
    path = Path(config.folder) / REPORT
    leaks = {one.name: [asdict(leak) for leak in one.leaks] for one in found}
    write_json(path, {"training_prompts": len(index.prompts), "leaks": leaks})
    return [*(one.line() for one in found), f"every leak by id: {path}"]


def training_prompts(config: RunConfig) -> list[Prompt]:
    """What an SFT or RL run learns from."""
    if config.kind == "rl":
        return load_prompts(config.data_here, config.data.train, config.data.split)
    return [demonstration.prompt for demonstration in load_demonstrations(config.data_here)]
