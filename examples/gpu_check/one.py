"""One part in its own process: `python -m examples.gpu_check.one MODULE:FUNCTION FOLDER`; `running.py` starts it."""

import sys
from importlib import import_module
from pathlib import Path

from examples.gpu_check.bench import Bench, PartStoppedError


def main(target: str, folder: str) -> int:
    """Run the part on the bench of its folder; 1 if it could not go on."""
    bench = Bench.read(Path(folder) / "bench.json")
    module, _, function = target.partition(":")
    name = module if "." in module else f"examples.gpu_check.parts.{module}"
    try:
        getattr(import_module(name), function)(bench)
    except PartStoppedError as stopped:
        print(f"the part ended at {stopped}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
