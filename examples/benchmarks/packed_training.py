"""What packing groups saves in training: forward and backward passes over the same rows by two checkouts of the code.

    git worktree add ../padded 28df753   # the last commit that padded rows
    python examples/benchmarks/packed_training.py --against ../padded --rounds 3 --write examples/benchmarks/packed_training.json

Each shape is some groups of one picture's prompt and responses of varied length, on vr1-tiny with a frozen vision tower.
The two take turns, each in processes of its own; what is compared is the median of CPU seconds of one thread, which
other processes of the machine change little.
"""

import argparse
import io
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
SHAPES = {  # picture's side in vision tokens, mean and longest response, groups, responses each, budget
    "prompt 29": (3, 68, 112, 8, 16, 2048),
    "prompt 550": (23, 274, 512, 2, 8, 4096),
    "prompt 1050": (32, 427, 800, 1, 8, 8192),
}


def measure(shape: str, repeats: int) -> dict[str, float]:
    """CPU seconds of each pass, by the code on the path."""
    import torch
    from PIL import Image

    from vr1_ray.config import ModelConfig
    from vr1_ray.models import load_adapter
    from vr1_ray.training.batch import VisionInputs
    from vr1_ray.training.policy_model import PolicyModel
    from vr1_ray.training.scoring import MicroBatches
    from vr1_ray.types import EncodedImage, Prompt, TrainRow

    torch.set_num_threads(1)
    side, mean, longest, num_groups, group_size, budget = SHAPES[shape]
    config = ModelConfig(
        path=str(ROOT / "examples/vr1_tiny/model"),
        min_pixels=784,
        max_pixels=2_000_000,
        freeze_vision_tower=True,
        freeze_projector=True,
    )
    adapter = load_adapter(config)
    policy = PolicyModel(adapter, config, chunk_tokens=1024)
    policy.freeze(config)
    rng = random.Random(0)
    rows, images = [], {}
    for number in range(num_groups):
        buffer = io.BytesIO()
        Image.new("RGB", (28 * side, 28 * side), (10 * number, 99, 99)).save(buffer, "PNG")
        image = EncodedImage.from_bytes(buffer.getvalue())
        images[image.content_hash] = image
        prompt = Prompt(prompt_id=str(number), question="<image>How many?", images=(image,))
        prompt_ids = adapter.render(prompt).prompt_ids
        for index in range(group_size):
            length = max(4, min(longest, int(rng.gammavariate(4, mean / 4))))
            rows.append(
                TrainRow(
                    row_id=f"{number}/{index}",
                    prompt_ids=prompt_ids,
                    response_ids=tuple(rng.randrange(20, 500) for _ in range(length)),
                    image_hashes=(image.content_hash,),
                )
            )
    vision = VisionInputs(adapter, images)
    cpu = torch.device("cpu")
    seconds = []
    for _ in range(repeats + 1):
        begin = time.process_time()
        batches = MicroBatches(rows, vision, adapter, max_tokens=budget, device=cpu)
        for place in range(len(batches)):
            policy(batches.make(place)[1])[0].sum().backward()
        policy.zero_grad()
        seconds.append(time.process_time() - begin)
    return {
        "seconds": median(seconds[1:]),  # the first makes the pictures' inputs
        "micro_batches": len(batches),
        "prompt_tokens": len(rows[0].prompt_ids),
        "response_tokens": sum(len(row.response_ids) for row in rows) / len(rows),
    }


def run(tree: Path, shape: str, repeats: int) -> dict[str, float]:
    """`measure` in a process of its own, with the code of a checkout."""
    command = [sys.executable, __file__, "--measure", shape, "--repeats", str(repeats)]
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=1800
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print a line for each shape, and write them if asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--against", type=Path, help="a checkout of the code to compare with")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3, help="passes of a round, after the first")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--write", type=Path, help="JSON file for the lines")
    parser.add_argument("--measure", choices=SHAPES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure, given.repeats)))
        return
    lines = []
    for shape in given.shapes:
        found: dict[str, list[float]] = {"ours": [], "against": []}
        for _ in range(given.rounds):
            ours = run(ROOT, shape, given.repeats)
            found["ours"].append(ours["seconds"])
            if given.against:
                found["against"].append(run(given.against, shape, given.repeats)["seconds"])
        line = {"shape": shape} | ours | {"seconds": round(median(found["ours"]), 3)}
        if given.against:
            line["against"] = round(median(found["against"]), 3)
            line["ratio"] = round(line["against"] / line["seconds"], 2)
        print(json.dumps(line), flush=True)
        lines.append(line)
    if given.write:
        given.write.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
