"""What is left of a run after chaos: compared with the same run undisturbed, and as a table."""

import json
from collections import Counter
from pathlib import Path

from safetensors.torch import load_file


def samples_of(run: Path, step: int) -> list[tuple]:
    """Of a step's saved rollouts: (prompt, index, attempt, response, reward, advantage)."""
    lines = (run / "rollouts" / f"step_{step:06d}.jsonl").read_text().splitlines()
    same = ("index", "attempt", "response_ids", "reward", "advantage")
    return [
        (group["prompt"]["prompt_id"], *(json.dumps(rollout[key]) for key in same))
        for group in map(json.loads, lines)
        for rollout in group["rollouts"]
    ]


def compare(chaos: Path, undisturbed: Path, steps: int) -> dict:
    """Counts over all steps, and whether responses and final weights are the same."""
    lost = duplicated = different = samples = 0
    for step in range(1, steps + 1):
        expected, found = samples_of(undisturbed, step), samples_of(chaos, step)
        wanted, had = (Counter(one[:2] for one in side) for side in (expected, found))
        lost += (wanted - had).total()
        duplicated += (had - wanted).total()
        different += (Counter(expected) - Counter(found)).total()
        samples += len(found)
    before = load_file(undisturbed / "policy/model.safetensors")
    after = load_file(chaos / f"checkpoints/step_{steps:06d}/policy/model.safetensors")
    return {
        "samples": samples,
        "samples_lost": lost,
        "samples_duplicated": duplicated,
        "samples_different": different,
        "weights_identical": all(before[name].equal(after[name]) for name in before),
    }


def table(found: dict) -> str:
    lines = [f"{'lost':<18}{'kills':>6}{'median s':>10}{'max s':>8}"]
    for kind, number in found["kills"].items():
        seconds = found["recovery_seconds"].get(kind, {"median": "-", "max": "-"})
        lines.append(f"{kind:<18}{number:>6}{seconds['median']:>10}{seconds['max']:>8}")
    lines += [
        f"{sum(found['kills'].values())} kills and {len(found['scale_commands'])} scale commands in "
        f"{found['seconds']} s and {found['steps']} steps; {found['steps_redone']} steps redone",
        f"of {found['samples']} samples {found['samples_lost']} lost, {found['samples_duplicated']} duplicated, "
        f"{found['samples_different']} other than in the undisturbed run",
        f"final weights identical to the undisturbed run's: {found['weights_identical']}",
        f"tokens/s by number of engines: {found['tokens_per_second_by_engines']}",
    ]
    return "\n".join(lines)
