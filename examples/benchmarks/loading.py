"""How long a run takes to read its data: the first start, which checks every picture, and the second, which opens none.

    python examples/benchmarks/loading.py --rows 200000 --write examples/benchmarks/loading.json

Makes `--rows` rows, each with a JPEG of its own name and about `--kilobytes`; `--distinct` of them differ, the others are
hard links to these, so that the disk suffices. Each name is read, hashed and decoded all the same, but from a
page cache that the real data would not fit into: add the time your disk takes for rows x kilobytes. Each start is a
process of its own that does what a run does before its first actor: rows, pictures, token counts. Peak memory is the
driver's own resident set. With `--keep FOLDER` the rows are made once.
"""

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

MODEL = Path(__file__).parents[1] / "vr1_tiny" / "model"
WIDTH, HEIGHT = 800, 600
RESPONSE = (
    "<think> " + "Okay, let me count them once more, from the left. " * 20 + "</think>"
    "<answer> Final Answer:3 </answer>"
)


def picture(seed: int, kilobytes: float) -> bytes:
    """A JPEG of about this size: smooth colours, and as much noise as it takes."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)).astype(np.float32)
    noise = rng.standard_normal((HEIGHT, WIDTH, 1), dtype=np.float32)
    found = b""
    for strength in range(2, 60, 4):
        buffer = io.BytesIO()
        pixels = (smooth + strength * noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(buffer, "JPEG", quality=80)
        found = buffer.getvalue()
        if len(found) >= 1000 * kilobytes:
            break
    return found


def make_rows(folder: Path, rows: int, distinct: int, kilobytes: float, kind: str) -> int:
    """Pictures and the file that names them. Returns the bytes that lie on the disk."""
    size = 0
    for number in range(rows):
        path = folder / "pictures" / f"{number // 1000:04d}" / f"{number:07d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        first = folder / "distinct" / f"{number % distinct:07d}.jpg"
        if number < distinct:
            first.parent.mkdir(exist_ok=True)
            first.write_bytes(picture(number, kilobytes))
            size += first.stat().st_size
        path.hardlink_to(first)
    with (folder / "rows.jsonl").open("w") as file:
        for number in range(rows):
            row = {
                "id": number,
                "images": [f"pictures/{number // 1000:04d}/{number:07d}.jpg"],
                "problem": f"<image>How many red circles does picture {number} show, and how many blue ones?",
            }
            own = {"answer": str(number % 9)} if kind == "prompts" else {"response": RESPONSE}
            file.write(json.dumps(row | own) + "\n")
    return size


def start(folder: Path, kind: str) -> dict[str, Any]:
    """What a run does before its first actor. Seconds are counted from before the libraries are loaded."""
    began = time.monotonic()
    from vr1_ray.config import CurriculumConfig, DataConfig, ModelConfig, RunConfig, StageConfig
    from vr1_ray.preflight.inputs import read_inputs

    source = str(folder / "rows.jsonl")
    config = RunConfig(
        kind="rl" if kind == "prompts" else "sft",
        name="loading",
        runs_folder=str(folder / "runs"),
        allow_base_policy=kind == "prompts",
        curriculum=CurriculumConfig(
            stages=[StageConfig(max_response_tokens=1024, group_size=8, steps=1)]
        ),
        model=ModelConfig(path=str(MODEL), max_model_len=8192),
        data=DataConfig(train=source, max_prompt_tokens=4096)
        if kind == "prompts"
        else DataConfig(demonstrations=[source]),
    )
    loaded = time.monotonic()
    inputs = read_inputs(config)
    kept = inputs.prompts or inputs.demonstrations
    assert not inputs.num_left_out, inputs.num_left_out
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {
        "seconds": round(seconds, 1),
        "of_these_libraries": round(loaded - began, 1),
        "rows_read": len(kept),
        "rows_per_second": round(len(kept) / (time.monotonic() - loaded)),
        "peak_gb_driver": round(peak, 2),
    }


def in_a_process(folder: Path, kind: str) -> dict[str, Any]:
    """`start` in a fresh interpreter."""
    command = [sys.executable, __file__, "--start", str(folder), "--kind", kind]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Two starts, measured."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--distinct", type=int, default=4000, help="pictures that differ")
    parser.add_argument("--kilobytes", type=float, default=100)
    parser.add_argument("--kind", choices=("prompts", "demonstrations"), default="prompts")
    parser.add_argument("--keep", type=Path, help="make the rows here, or use those that are")
    parser.add_argument("--write", type=Path, help="the figures as JSON")
    parser.add_argument("--start", type=Path, help=argparse.SUPPRESS)
    parsed = parser.parse_args()
    if parsed.start:
        print(json.dumps(start(parsed.start, parsed.kind)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = parsed.keep or Path(temporary)
        distinct = min(parsed.distinct, parsed.rows)
        if not (folder / "rows.jsonl").exists():
            on_disk = make_rows(folder, parsed.rows, distinct, parsed.kilobytes, parsed.kind)
            print(f"{parsed.rows} rows, {on_disk / 1e9:.2f} GB on disk", flush=True)
        found = {
            "rows": parsed.rows,
            "kind": parsed.kind,
            "kilobytes_a_picture": parsed.kilobytes,
            "distinct_pictures": distinct,
            "cores": len(os.sched_getaffinity(0)),
            "load_before": round(os.getloadavg()[0], 1),
        }
        for name in ("first_start", "second_start"):
            found[name] = in_a_process(folder, parsed.kind)
            print(name, found[name], flush=True)
    if parsed.write:
        parsed.write.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
