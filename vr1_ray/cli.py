"""The command line: `vr1 run|bridge|sft|rl|eval|filter|check CONFIG [key=value ...]`, `vr1 status|scale|replay RUN`,
`vr1 report|compare RUN ...`, `vr1 runs`, `vr1 generate POLICY`, `vr1 config`, `vr1 init NAME`.

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

from vr1_ray.commands.arguments import MAX_TOKENS_DEFAULT, parse_arguments
from vr1_ray.runs.stopping import Stopped, StopSignal


def main(arguments: list[str] | None = None) -> int:
    """Entry point of the `vr1` command; returns the exit code."""
    parsed = parse_arguments(arguments)
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
            "report": _report,
            "compare": _report,
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
        from vr1_ray.runs.quiet import to_user

        print(f"note: {record.getMessage()}", file=to_user(), flush=True)


def _tell_notes() -> None:
    logger = logging.getLogger("vr1_ray")
    logger.handlers = [_Notes()]
    logger.setLevel(logging.INFO)


def _generate(parsed: argparse.Namespace) -> int:
    from vr1_ray.config import ConfigError
    from vr1_ray.config.generate import GenerateConfig, sections

    model, rollout, data = sections(parsed.set, engine=parsed.engine, has_rows=bool(parsed.input))
    if parsed.max_tokens == 0:
        raise ConfigError(f"--max_tokens: 0 must be above 0; leave it out for {MAX_TOKENS_DEFAULT}")
    config = GenerateConfig(
        policy=parsed.policy,
        images=parsed.image,
        question=parsed.question,
        source=parsed.input,
        output=parsed.output,
        max_response_tokens=parsed.max_tokens or 0,
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

    if parsed.diff and parsed.markdown:
        raise ValueError("--markdown: is for the list of settings; leave it out with --diff")
    if parsed.diff:
        print(diff_text(parsed.diff, parsed.prefix))
    else:
        print(reference_text(parsed.prefix, is_markdown=parsed.markdown))
    return 0


def _init(parsed: argparse.Namespace) -> int:
    from vr1_ray.commands.init import init

    settings = {name: getattr(parsed, name) for name in ("data", "split", "model", "overrides")}
    print(init(parsed.name, **settings))
    return 0


def _status(parsed: argparse.Namespace) -> int:
    from vr1_ray.commands.status import status_text

    print(status_text(parsed.run, runs_folder=parsed.runs_folder))
    return 0


def _runs(parsed: argparse.Namespace) -> int:
    from vr1_ray.commands.runs import runs_text

    print(runs_text(Path(parsed.folder)))
    return 0


def _report(parsed: argparse.Namespace) -> int:
    from vr1_ray.commands.report import comparison, report

    if len(parsed.runs) < parsed.least:
        raise ValueError(f"vr1 compare: {parsed.runs[0]} alone; name the runs to compare it with")
    if parsed.command == "compare":
        print(comparison(parsed.runs, runs_folder=parsed.runs_folder) + "\n")
    path = report(parsed.runs, runs_folder=parsed.runs_folder, to=parsed.to, max_mb=parsed.max_mb)
    print(f"report: {path} ({path.stat().st_size / 1e6:.1f} MB)\nnext: open it in a browser")
    return 0


def _replay(parsed: argparse.Namespace) -> int:
    """The verdict of a replay; exit code 1 if the update is not reproduced."""
    from vr1_ray.commands.status import REPLAYED, find_rl_run

    folder = find_rl_run(parsed.run, Path(parsed.runs_folder), REPLAYED)
    from vr1_ray.commands.replay import replay  # seconds, which a wrong name should not take

    verdict = replay(
        parsed.run,
        step=parsed.step,
        runs_folder=parsed.runs_folder,
        overrides=parsed.overrides,
    )
    print(verdict.text())
    print(f"logs and policy: {folder / 'replay'}")
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
    from vr1_ray.preflight import is_sound, render
    from vr1_ray.runs.quiet import quiet

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
