"""The first ten minutes with a GPU: `make gpu-check`, or `python -m examples.gpu_check` in the project's folder.

Prints a row as it is known and writes all of them to gpu_check.json. Exit code 1 if a row failed. See README.md.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from examples.gpu_check.machine import Machine, look
from examples.gpu_check.running import Row, run_parts
from examples.gpu_check.table import PARTS, chosen
from vr1_ray import __version__

FORMAT = 1  # of gpu_check.json
REHEARSAL = (
    "A rehearsal on CPU, with tiny models: it shows that the code runs, and nothing of a GPU."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts asked for; 0 if no row failed."""
    parsed = _parser().parse_args(arguments)
    if parsed.list:
        print(listing())
        return 0
    try:
        parts = chosen([word for word in parsed.parts.split(",") if word])
    except ValueError as error:
        print(f"gpu-check: error: {error}", file=sys.stderr)
        return 2
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(143)
    )  # what the part has started is ended first
    began, machine = time.monotonic(), look()
    print(machine.line(), flush=True)
    if parsed.device == "cpu":
        print(REHEARSAL, flush=True)
    rows = run_parts(
        parts,
        machine,
        device=parsed.device,
        gpus=parsed.gpus,
        folder=Path(parsed.folder).absolute(),
        seconds=60 * parsed.minutes,
        show=lambda row: print(line(row), flush=True),
    )
    told = report(rows, machine, device=parsed.device, gpus=parsed.gpus)
    told["seconds"] = round(time.monotonic() - began, 1)
    Path(parsed.output).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(f"{summary(rows)}; {told['seconds']:.0f} s; {parsed.output}")
    return int(any(row.status == "failed" for row in rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gpu_check", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--parts", default="", help="parts or rows, by commas; default: all")
    add("--gpus", type=_count, default=1, help="GPUs to use; on CPU ranks and engines; default: 1")
    add("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: a rehearsal of the code")
    add("--minutes", type=float, default=10.0, help="after which no part is begun; default: 10")
    add("--folder", default="runs/gpu_check", help="for models, logs and runs")
    add("--output", default="gpu_check.json", help="where the result is written")
    add("--list", action="store_true", help="what the parts show, and nothing else")
    return parser


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of GPUs; give 1 or more")
    return int(text)


def listing() -> str:
    """The table of parts for people."""
    return "\n".join(
        f"{part.name:<12} {row:<20} {what}" for part in PARTS for row, what in part.rows.items()
    )


def line(row: Row) -> str:
    """One row for people: its figures, or why there are none."""
    shown = ", ".join(f"{name} {_short(value)}" for name, value in row.figures.items())
    said = " | ".join(text for text in (row.cause, shown) if text)
    return f"{row.part:<12} {row.row:<20} {row.status:<9} {row.seconds:>6.1f} s  {said}"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def summary(rows: Sequence[Row]) -> str:
    """How many rows there are of each status."""
    counts = [row.status for row in rows]
    words = ("passed", "failed", "left out")
    return f"{len(rows)} rows: " + ", ".join(f"{counts.count(word)} {word}" for word in words)


def report(rows: Sequence[Row], machine: Machine, *, device: str, gpus: int) -> dict[str, Any]:
    """What gpu_check.json holds."""
    return {
        "format": FORMAT,
        "vr1_ray": __version__,
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "device": device,
        "gpus": gpus,
        "machine": machine.as_json(),
        "rows": [asdict(row) for row in rows],
    }


if __name__ == "__main__":
    sys.exit(main())
