"""What more engines give a run that is under way: `vr1 scale` 1 -> 3 -> 1 while it trains.

    python examples/benchmarks/scale_engines.py        # after `make quickstart`, from whose policy it starts

Runs configs/quickstart_rl.yaml with one engine, asks for three after step 4 and for one after step 12, and
prints each step's engines and generated tokens per second. All engines are compared after every weight sync
(`rollout.verify_weights`): one that held other weights would end the run. Writes runs/scale_engines/scale.json.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean

RUN = Path("runs/scale_engines")
VR1 = [sys.executable, "-m", "vr1_ray.cli"]
CHANGES = {4: 3, 12: 1}  # after this step -> engines to have
STEPS = 16
LIMIT_SECONDS = 1200.0
SETTINGS = [
    f"name={RUN.name}",
    "rollout.num_engines=1",
    "rollout.verify_weights=true",
    f"curriculum.stages=[{{max_response_tokens: 112, group_size: 16, steps: {STEPS}}}]",
    "checkpoint.resume=never",
]


def rows() -> list[dict]:
    """The whole rows of the run's metrics so far."""
    path = RUN / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def drive(run: subprocess.Popen) -> None:
    """Ask for other numbers of engines when their steps are done."""
    deadline = time.monotonic() + LIMIT_SECONDS
    for step, number in CHANGES.items():
        while len(rows()) < step:
            if run.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the run did not come to step {step}; see {RUN}/logs")
            time.sleep(0.2)
        subprocess.run([*VR1, "scale", RUN.name, "--engines", str(number)], check=True)
    if run.wait(timeout=max(1.0, deadline - time.monotonic())):
        raise SystemExit(f"the run failed; see {RUN}/logs")


def main() -> None:
    """Run, scale, print, write."""
    (RUN / "metrics.jsonl").unlink(missing_ok=True)
    run = subprocess.Popen([*VR1, "rl", "configs/quickstart_rl.yaml", *SETTINGS])
    try:
        drive(run)
    finally:
        if run.poll() is None:
            run.terminate()
            run.wait(timeout=120)
    found = rows()
    if [row["step"] for row in found] != list(range(1, STEPS + 1)):
        raise SystemExit(f"steps are missing: {[row['step'] for row in found]}")
    (RUN / "scale.json").write_text(json.dumps(report(found), indent=1) + "\n")


def report(found: list[dict]) -> dict:
    """Prints the series; it and the means by number of engines, as scale.json holds them."""
    series, by_engines = [], {}
    for row in found:
        number, speed = int(row["engines/healthy"]), row["tokens_per_second"]
        print(
            f"step {row['step']:>2}  engines {number}  {speed:>6.0f} tokens/s  "
            f"generate {row['time/generate']:.1f} s  step {row['time/step']:.1f} s"
        )
        series.append([row["step"], number, round(speed)])
        by_engines.setdefault(number, []).append(row)
    means = {
        number: {
            "steps": len(some),
            "tokens_per_second": round(mean(row["tokens_per_second"] for row in some)),
            "generate_seconds": round(mean(row["time/generate"] for row in some), 1),
        }
        for number, some in sorted(by_engines.items())
    }
    for number, figures in means.items():
        print(f"{number} engines: {figures}")
    return {"step_engines_tokens_per_second": series, "by_engines": means}


if __name__ == "__main__":
    main()
