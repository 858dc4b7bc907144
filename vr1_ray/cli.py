"""The command line: `vr1 run|bridge|sft|rl|eval|check CONFIG [key=value ...]`, `vr1 status|scale|replay RUN`.

`vr1 run` takes a config of any kind; the others insist on theirs. Nothing heavy is imported until a
config has been read, so that help and mistakes answer at once. Exit codes: 0 all steps done, 1 the run
failed, 2 the input was wrong, 130 interrupted, 143 stopped by SIGTERM.
"""

import argparse
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from vr1_ray import __version__
from vr1_ray.loops.stopping import EXIT_CODE, Stopped, StopSignal

COMMANDS = {
    "run": "run a config of any kind (recipe, figure_math, bridge, sft, rl, eval)",
    "bridge": "build cold-start data by modality bridging",
    "sft": "cold start: supervised training on demonstrations",
    "rl": "GRPO with the hard formatting result reward under PTST",
    "eval": "evaluate a policy on held-out prompts",
    "check": "verify a config, its inputs and whether it will fit, without starting anything",
}
REPLAY = "redo the update of a step from what the run saved, and compare it bit for bit"
STATUS = "how a run is doing: step, figures, checkpoints; from any process, also after the run"

SCALE = "give a live run another number of rollout engines or reward actors; it goes on meanwhile"


def main(arguments: list[str] | None = None) -> int:
    """Entry point of the `vr1` command; returns the exit code."""
    parsed = _parser().parse_args(arguments)
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    try:
        if parsed.command == "status":
            return _status(parsed.run, parsed.runs_folder)
        if parsed.command == "replay":
            return _replay(parsed)
        if parsed.command == "scale":
            return _scale(parsed)
        return _run(parsed.command, parsed.config, parsed.overrides)
    except ValueError as error:
        if parsed.debug:
            traceback.print_exc()
        print(f"vr1: error: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        traceback.print_exc(file=_error_log())
        if parsed.debug:
            traceback.print_exc()
        print(f"vr1: failed: {error}\n(full traceback: {ERROR_LOG})", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "vr1: interrupted; `vr1` with the same config goes on from the last checkpoint",
            file=sys.stderr,
        )
        return 130
    except Stopped:
        print(
            "vr1: stopped by SIGTERM; `vr1` with the same config goes on from the last checkpoint",
            file=sys.stderr,
        )
        return EXIT_CODE


ERROR_LOG = Path("vr1_error.log")


def _error_log() -> Any:
    return open(ERROR_LOG, "w", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vr1", description="Vision-R1 on Ray: cold start, then GRPO under PTST."
    )
    parser.add_argument("--version", action="version", version=f"vr1_ray {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose)
        command.add_argument("config", help="a YAML file, such as configs/quickstart.yaml")
        command.add_argument(
            "overrides", nargs="*", metavar="key=value", help="such as rollout.num_engines=2"
        )
        command.add_argument("--debug", action="store_true", help="show tracebacks")
    status = commands.add_parser("status", help=STATUS, description=STATUS)
    again = commands.add_parser("replay", help=REPLAY, description=REPLAY)
    scale = commands.add_parser("scale", help=SCALE, description=SCALE)
    for command in (status, again, scale):
        command.add_argument("run", help="a run folder, or the name of a run in the runs folder")
        command.add_argument("--runs_folder", default="runs", help="default: runs")
        command.add_argument("--debug", action="store_true", help="show tracebacks")
    again.add_argument("--step", type=int, required=True, help="the step whose update is redone")
    again.add_argument(
        "overrides", nargs="*", metavar="key=value", help="such as cluster.address=local"
    )
    scale.add_argument("--engines", type=int, metavar="N", help="rollout engines to have")
    scale.add_argument("--rewards", type=int, metavar="N", help="actors of a reward pool to have")
    scale.add_argument("--pool", default="default", help="which reward pool; default: default")
    scale.add_argument(
        "--wait", type=float, default=600.0, metavar="SECONDS", help="for the answer; 0: none"
    )
    return parser


def _run(command: str, path: str, overrides: list[str]) -> int:
    from vr1_ray.config import ConfigError, load_config

    config = load_config(path, overrides)
    if command == "check":
        return _check(config)
    if command != "run" and config.kind != command:
        raise ConfigError(
            f"kind: {config.kind!r} in {path} is not what `vr1 {command}` runs; use `vr1 run {path}`"
        )
    from vr1_ray.config import check_config
    from vr1_ray.loops.recipe_loop import run_one, run_recipe

    stop = StopSignal()
    stop.listen()
    if config.kind == "recipe":
        run_recipe(config, stop)
    else:
        check_config(config)
        run_one(config, stop)
    return 0


def _status(run: str, runs_folder: str) -> int:
    from vr1_ray.loops.status import status_text

    print(status_text(run, runs_folder=runs_folder))
    return 0


def _replay(parsed: argparse.Namespace) -> int:
    """The verdict of a replay; exit code 1 if the update is not reproduced."""
    from vr1_ray.loops.replay import replay

    verdict = replay(
        parsed.run,
        step=parsed.step,
        runs_folder=parsed.runs_folder,
        overrides=parsed.overrides,
    )
    print(verdict.text())
    return 0 if verdict.is_identical else 1


def _scale(parsed: argparse.Namespace) -> int:
    from vr1_ray.loops.scale import scale

    answer = scale(
        parsed.run,
        engines=parsed.engines,
        rewards=parsed.rewards,
        pool=parsed.pool,
        runs_folder=parsed.runs_folder,
        wait_seconds=parsed.wait,
    )
    print(answer)
    return 0


def _check(config: Any) -> int:
    """Settings, inputs and the plan of a run; exit code 1 if a row of the plan is bad."""
    from vr1_ray.config import check_config, recipe_runs
    from vr1_ray.preflight import check_inputs, is_sound, plan_rows, render

    if config.kind == "bridge":
        from vr1_ray.loops.bridge_loop import check_bridge

        print("\n".join(check_bridge(config)))
        return 0
    if config.kind != "recipe":
        print("\n".join(check_inputs(config)))
    else:
        # Later steps read what earlier ones write, so a recipe's inputs are not read.
        for run in recipe_runs(config):
            check_config(run)
            print(f"{run.name}: {run.kind}, settings are sound")
    rows = plan_rows(config)
    print(render(rows))
    return 0 if is_sound(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
