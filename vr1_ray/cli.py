"""The command line: `vr1 run|bridge|sft|rl|eval|filter|check CONFIG [key=value ...]`, `vr1 status|scale|replay RUN`,
`vr1 runs`, `vr1 generate POLICY`, `vr1 config`, `vr1 init NAME`.

`vr1 run` takes a config of any kind; the others insist on theirs. Nothing heavy is imported until a
config has been read, so that help and mistakes answer at once. Exit codes: 0 all steps done, 1 the run
failed, 2 the input was wrong, 130 interrupted, 143 stopped by SIGTERM.
"""

import argparse
import logging
import os
import shlex
import sys
import traceback
from pathlib import Path
from typing import Any

from vr1_ray import __version__
from vr1_ray.runs.stopping import Stopped, StopSignal

COMMANDS = {
    "run": "run a config of any kind (recipe, figure_math, bridge, sft, rl, eval)",
    "bridge": "build cold-start data by modality bridging",
    "sft": "cold start: supervised training on demonstrations",
    "rl": "GRPO with the hard formatting result reward under PTST",
    "eval": "evaluate a policy on held-out prompts and published benchmarks",
    "filter": "try an RL run's prompts, and write those whose pass rate lies in a window as a data set",
    "check": "verify a config, its inputs and whether it will fit, without starting anything; with "
    "benchmarks=[...] also what of them the training data holds",
}
PROBE = "load the policy and ask whether it looks at its pictures (vr1_ray/data/blindness.py)"
GENERATE = "answer questions about images with a policy: one, a folder, or a JSONL file"
INIT = "write a commented config for your data, after looking at it; nothing is started"
REPLAY = "redo the update of a step from what the run saved, and compare it bit for bit"
RUNS = "the runs in a folder: kind, state, step, best score, last change"
STATUS = "how a run is doing: step, figures, checkpoints; from any process, also after the run"

CONFIG = "every setting: key, type, default, range, kinds of run and meaning; --diff: what a config changes"
SCALE = "give a live run another number of rollout engines or reward actors; it goes on meanwhile"


def main(arguments: list[str] | None = None) -> int:
    """Entry point of the `vr1` command; returns the exit code."""
    parsed = _parser().parse_args(arguments)
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    _tell_notes()
    try:
        act = {
            "status": _status,
            "runs": _runs,
            "generate": _generate,
            "replay": _replay,
            "scale": _scale,
            "config": _config,
            "init": _init,
        }
        return act.get(parsed.command, _run)(parsed)
    except ValueError as error:
        _tell(f"error: {error}", error, has_traceback=parsed.debug)
        return 2
    except KeyboardInterrupt as error:
        _tell("interrupted", error)
        return 130
    except Stopped as error:
        _tell(f"stopped by {error.cause}", error)
        return int(error.code or 0)
    except Exception as error:
        from vr1_ray.runs.run_state import SEE_TRACEBACK

        is_told = isinstance(error, RuntimeError) and str(error)
        if not any(note.startswith(SEE_TRACEBACK) for note in getattr(error, "__notes__", [])):
            # of no run, or of one that had no folder yet
            error.add_note(f"{SEE_TRACEBACK}{_write_traceback()}")
        what = error if is_told else f"{type(error).__name__}: {error}"
        _tell(f"failed: {what}", error, has_traceback=parsed.debug)
        return 1


ERROR_LOG = Path("vr1_error.log")


def _tell(text: str, error: BaseException, *, has_traceback: bool = False) -> None:
    """How it ended, and what the run had to say to that: where the traceback is, what it goes on from."""
    if has_traceback:
        traceback.print_exc()
    print("\n".join([f"vr1: {text}", *getattr(error, "__notes__", [])]), file=sys.stderr)


def _write_traceback() -> Path:
    with ERROR_LOG.open("w", encoding="utf-8") as file:
        traceback.print_exc(file=file)
    return ERROR_LOG.resolve()


class _Notes(logging.Handler):
    """What reading data has to say (forms, skipped rows): one line each on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        from vr1_ray.commands.quiet import to_user

        print(f"note: {record.getMessage()}", file=to_user(), flush=True)


def _tell_notes() -> None:
    logger = logging.getLogger("vr1_ray")
    logger.handlers = [_Notes()]
    logger.setLevel(logging.INFO)


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
        if name == "check":
            command.add_argument("--probe", action="store_true", help=PROBE)
    _add_init(commands)
    _add_generate(commands)
    runs = commands.add_parser("runs", help=RUNS, description=RUNS)
    runs.add_argument("folder", nargs="?", default="runs", help="default: runs")
    runs.add_argument("--debug", action="store_true", help="show tracebacks")
    _add_config(commands)
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


def _add_config(commands: Any) -> None:
    command = commands.add_parser("config", help=CONFIG, description=CONFIG)
    command.add_argument("prefix", nargs="?", default="", help="such as trainer.optimizer")
    command.add_argument("--markdown", action="store_true", help="as a table in Markdown")
    command.add_argument("--diff", metavar="CONFIG", help="what this YAML sets to other values")
    command.add_argument("--debug", action="store_true", help="show tracebacks")


def _add_init(commands: Any) -> None:
    command = commands.add_parser("init", help=INIT, description=INIT)
    command.add_argument("name", help="of the run; the config is NAME.yaml in the current folder")
    command.add_argument("--data", default="", help="your rows: a file, a folder or a hub name")
    command.add_argument("--split", default="train", help="of a folder or hub name; default: train")
    command.add_argument(
        "--model",
        default="",
        help="a model folder or hub name; default: the quickstart's policy, or the tiny one",
    )
    command.add_argument("--debug", action="store_true", help="show tracebacks")


def _add_generate(commands: Any) -> None:
    command = commands.add_parser("generate", help=GENERATE, description=GENERATE)
    add = command.add_argument
    add("policy", help="a model folder, such as runs/quickstart/rl/policy, or a hub name")
    add("--image", action="append", default=[], help="a picture; again for a second one")
    add("--question", default="", help="what is asked; <image> marks where a picture stands")
    add("--input", default="", help="a folder of pictures, or a .jsonl of questions")
    add("--output", default="", help="a .jsonl for the responses; default: standard output")
    add("--engine", default="vllm", help="vllm (default) or hf, plain transformers")
    add(
        "--max_tokens",
        type=int,
        default=0,
        help="of a response, which ends behind its answer anyway; default: what the policy was trained with, else 4096",
    )
    add("--temperature", type=float, default=0.6, help="0 is greedy; default: 0.6")
    add("--top_p", type=float, default=0.95, help="default: 0.95")
    add("--num_samples", type=int, default=1, help="responses a question; default: 1")
    add("--seed", type=int, default=0, help="default: 0")
    add("--timeout_seconds", type=float, default=600.0, help="without any response; default: 600")
    add("--set", nargs="+", default=[], metavar="key=value", help="model.*, rollout.* or data.*")
    add("--debug", action="store_true", help="show tracebacks")


def _generate(parsed: argparse.Namespace) -> int:
    from vr1_ray.config.generate import GenerateConfig, sections

    model, rollout, data = sections([*parsed.set, f"rollout.engine={parsed.engine}"])
    config = GenerateConfig(
        policy=parsed.policy,
        images=parsed.image,
        question=parsed.question,
        source=parsed.input,
        output=parsed.output,
        max_response_tokens=parsed.max_tokens,
        temperature=parsed.temperature,
        top_p=parsed.top_p,
        num_samples=parsed.num_samples,
        seed=parsed.seed,
        timeout_seconds=parsed.timeout_seconds,
        model=model,
        rollout=rollout,
        data=data,
    )
    from vr1_ray.commands.generate import run_generate

    try:
        run_generate(config)
    except KeyboardInterrupt:
        print("vr1: interrupted; what was answered is written", file=sys.stderr)
        return 130
    return 0


def _run(parsed: argparse.Namespace) -> int:
    from vr1_ray.config import ConfigError, load_config

    command, path = parsed.command, parsed.config
    config = load_config(path, parsed.overrides)
    if command == "check":
        return _check(config, parsed)
    if command == "filter" and config.kind == "rl":
        from vr1_ray.config.filter import as_filter

        config = as_filter(config)
    if command != "run" and config.kind != command:
        raise ConfigError(
            f"kind: {config.kind!r} in {path} is not what `vr1 {command}` runs; use `vr1 run {path}`"
        )
    from vr1_ray.config import check_config
    from vr1_ray.loops.recipe_loop import run_alone, run_recipe

    stop = StopSignal()
    stop.listen()
    if config.kind == "recipe":
        run_recipe(config, stop)
    else:
        check_config(config)
        run_alone(config, stop)
    return 0


def _config(parsed: argparse.Namespace) -> int:
    from vr1_ray.commands.config import diff_text, reference_text

    if parsed.diff:
        print(diff_text(parsed.diff, parsed.prefix))
    else:
        print(reference_text(parsed.prefix, is_markdown=parsed.markdown))
    return 0


def _init(parsed: argparse.Namespace) -> int:
    from vr1_ray.commands.init import init

    print(init(parsed.name, data=parsed.data, split=parsed.split, model=parsed.model))
    return 0


def _status(parsed: argparse.Namespace) -> int:
    from vr1_ray.commands.status import status_text

    print(status_text(parsed.run, runs_folder=parsed.runs_folder))
    return 0


def _runs(parsed: argparse.Namespace) -> int:
    from vr1_ray.commands.runs import runs_text

    print(runs_text(Path(parsed.folder)))
    return 0


def _replay(parsed: argparse.Namespace) -> int:
    """The verdict of a replay; exit code 1 if the update is not reproduced."""
    from vr1_ray.commands.replay import replay

    verdict = replay(
        parsed.run,
        step=parsed.step,
        runs_folder=parsed.runs_folder,
        overrides=parsed.overrides,
    )
    print(verdict.text())
    from vr1_ray.commands.status import find_run

    print(f"logs and policy: {find_run(parsed.run, Path(parsed.runs_folder)) / 'replay'}")
    return 0 if verdict.is_identical else 1


def _scale(parsed: argparse.Namespace) -> int:
    from vr1_ray.commands.scale import scale

    answer = scale(
        parsed.run,
        engines=parsed.engines,
        rewards=parsed.rewards,
        pool=parsed.pool,
        runs_folder=parsed.runs_folder,
        wait_seconds=parsed.wait,
    )
    print(f"{answer}\nnext: vr1 status {parsed.run}")
    return 0


def _check(config: Any, parsed: argparse.Namespace) -> int:
    """One table of everything that can be known before a run; exit code 1 if a row is bad."""
    from vr1_ray.commands.check import run_check
    from vr1_ray.commands.contamination import contamination_lines
    from vr1_ray.commands.quiet import quiet
    from vr1_ray.preflight import is_sound, render

    with quiet("check") as talk:
        rows = run_check(config, is_probed=parsed.probe)
        lines = contamination_lines(config)
        if not is_sound(rows):
            talk.keep()
    print("\n".join([*lines, render(rows)]))
    if talk.where:
        print(talk.where)
    return _verdict(is_sound(rows), parsed)


def _verdict(is_good: bool, parsed: argparse.Namespace) -> int:
    """What to do after a check; its exit code."""
    command = shlex.join(["vr1", "run", parsed.config, *parsed.overrides])
    print(f"next: {command}" if is_good else "next: mend what is bad, and check again")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
