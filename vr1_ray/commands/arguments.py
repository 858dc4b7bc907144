"""What `vr1` takes: its commands, their arguments and what `--help` says of them."""

import argparse
import math
import re
import sys
from typing import Any, NoReturn

from vr1_ray import __version__
from vr1_ray.config.paths import no_path, written_out
from vr1_ray.wording import nearest

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
OPTION_LIKENESS = 0.7
# What other programs call a command of ours.
OTHER_COMMANDS = {
    "train": "run",
    "start": "run",
    "grpo": "rl",
    "finetune": "sft",
    "evaluate": "eval",
    "validate": "check",
    "test": "check",
    "ask": "generate",
    "chat": "generate",
    "infer": "generate",
    "new": "init",
    "create": "init",
    "list": "runs",
    "ls": "runs",
    "ps": "runs",
    "show": "status",
    "settings": "config",
    "help": "--help",
}
PROBE = "load the policy and ask whether it looks at its pictures (vr1_ray/data/blindness.py)"
GENERATE = "answer questions about images with a policy: one, a folder, or a JSONL file"
MAX_TOKENS_DEFAULT = "what the policy was trained with, else 4096"
INIT = "write a commented config for your data, after looking at it; nothing is started"
REPLAY = "redo the update of a step from what the run saved, and compare it bit for bit"
RUNS = "the runs in a folder: kind, state, step, best score, last change"
REPORT = "one HTML page of a run or recipe, or of several side by side: curves, events, settings, groups with pictures"
COMPARE = "the figures of several runs as a table, and the page of `vr1 report` with all of them"
STATUS = "how a run is doing: step, figures, checkpoints; from any process, also after the run"

CONFIG = "every setting: key, type, default, range, kinds of run and meaning; --diff: what a config changes"
SCALE = "give a live run another number of rollout engines or reward actors; it goes on meanwhile"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The command line; `key=value` may stand behind an option too, which argparse alone does not take.

    Options may be written with `-` for `_`. Exits with code 2 for a mistake, with what was probably meant.
    """
    parser = make_parser()
    given = sys.argv[1:] if arguments is None else arguments
    parsed, rest = parser.parse_known_args([_spelled(one) for one in given])
    takes_overrides = hasattr(parsed, "overrides")
    unknown = [one for one in rest if one.startswith("-") or "=" not in one or not takes_overrides]
    if unknown:
        parsed.parser.error(f"unrecognized arguments: {' '.join(unknown)}{_meant(parsed, unknown)}")
    if rest:
        parsed.overrides = [*parsed.overrides, *rest]
    return parsed


def _spelled(argument: str) -> str:
    """An option as it is called here: `--max-tokens=8` is `--max_tokens=8`. A text with spaces is no option."""
    name, equals, value = argument.partition("=")
    if not re.fullmatch(r"--\w[\w-]*", name):
        return argument
    return f"--{name[2:].replace('-', '_')}{equals}{value}"


def _meant(parsed: argparse.Namespace, unknown: list[str]) -> str:
    """What the first argument that is not taken was probably meant to be."""
    name, takes_overrides = unknown[0].partition("=")[0], hasattr(parsed, "overrides")
    if not name.startswith("--"):
        return "; a setting is written key=value" if takes_overrides else ""
    options = [one[2:] for action in parsed.parser._actions for one in action.option_strings]
    if found := nearest(name[2:], options, OPTION_LIKENESS):
        return f"; did you mean --{found}?"
    if not takes_overrides:
        return ""
    from vr1_ray.config.shape import near_keys

    if name in ("--dry_run", "--dryrun", "--check"):
        return "; `vr1 check CONFIG` verifies all without starting anything"
    keys = near_keys(name[2:])
    return f"; did you mean the setting {keys[0]}=VALUE, without dashes?" if keys else ""


class _Parser(argparse.ArgumentParser):
    """Says what a command was probably meant to be, and takes an option with a value only once."""

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        if names[0].startswith("-"):
            settings.setdefault("action", _Once)
        return super().add_argument(*names, **settings)

    def error(self, message: str) -> NoReturn:
        found = re.match(r"argument COMMAND: invalid choice: '(.*)' \(choose from", message)
        if found:
            message = _no_command(found[1])
        super().error(message)


class _Once(argparse.Action):
    """An option whose second value would replace the first in silence."""

    is_given = False

    def __call__(
        self, parser: Any, namespace: Any, values: Any, option_string: str | None = None
    ) -> None:
        if self.is_given:
            raise argparse.ArgumentError(self, "given twice; leave one of them out")
        self.is_given = True
        setattr(namespace, self.dest, values)


def _no_command(name: str) -> str:
    commands = [*COMMANDS, "init", "generate", "runs", "config", "status", "replay", "scale"]
    if name.endswith((".yaml", ".yml")):
        return f"{name} is no command; did you mean vr1 run {name}?"
    meant = nearest(name, commands) or OTHER_COMMANDS.get(name.lower(), "")
    cure = f"did you mean vr1 {meant}?" if meant else f"the commands are {', '.join(commands)}"
    return f"{name!r} is no command; {cure}"


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = _Parser(prog="vr1", description="Vision-R1 on Ray: cold start, then GRPO under PTST.")
    parser.add_argument("--version", action="version", version=f"vr1_ray {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose)
        command.add_argument("config", help="a YAML file, such as configs/quickstart.yaml")
        _add_overrides(command, "rollout.num_engines=2")
        command.add_argument("--debug", action="store_true", help="show tracebacks")
        if name == "check":
            command.add_argument("--probe", action="store_true", help=PROBE)
    _add_init(commands)
    _add_generate(commands)
    runs = commands.add_parser("runs", help=RUNS, description=RUNS)
    runs.add_argument("folder", nargs="?", type=_path, default="runs", help="default: runs")
    runs.add_argument("--debug", action="store_true", help="show tracebacks")
    _add_config(commands)
    _add_report(commands)
    status = commands.add_parser("status", help=STATUS, description=STATUS)
    again = commands.add_parser("replay", help=REPLAY, description=REPLAY)
    scale = commands.add_parser("scale", help=SCALE, description=SCALE)
    for command in (status, again, scale):
        command.add_argument(
            "run", type=_path, help="a run folder, or the name of a run in the runs folder"
        )
        command.add_argument("--runs_folder", type=_path, default="runs", help="default: runs")
        command.add_argument("--debug", action="store_true", help="show tracebacks")
    again.add_argument("--step", type=int, required=True, help="the step whose update is redone")
    _add_overrides(again, "cluster.address=local")
    scale.add_argument("--engines", type=int, metavar="N", help="rollout engines to have")
    scale.add_argument("--rewards", type=int, metavar="N", help="actors of a reward pool to have")
    scale.add_argument("--pool", default="default", help="which reward pool; default: default")
    scale.add_argument(
        "--wait", type=_seconds, default=600.0, metavar="SECONDS", help="for the answer; 0: none"
    )
    for command in commands.choices.values():
        command.set_defaults(parser=command)  # whose usage a mistake is told with
    return parser


def _path(text: str) -> str:
    """A path with its `~` and `$NAME`, which a shell leaves where they stand behind `=`."""
    if wrong := no_path(text):
        raise argparse.ArgumentTypeError(wrong)
    return written_out(text)


def _seconds(text: str) -> float:
    """A time of at least 0."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no time; give seconds, such as 600")
    return seconds


def _add_overrides(command: Any, example: str) -> None:
    command.add_argument(
        "overrides", nargs="*", default=[], metavar="key=value", help=f"such as {example}"
    )


def _add_config(commands: Any) -> None:
    command = commands.add_parser("config", help=CONFIG, description=CONFIG)
    command.add_argument("prefix", nargs="?", default="", help="such as trainer.optimizer")
    command.add_argument("--markdown", action="store_true", help="as a table in Markdown")
    command.add_argument("--diff", metavar="CONFIG", help="what this YAML sets to other values")
    command.add_argument("--debug", action="store_true", help="show tracebacks")


def _add_report(commands: Any) -> None:
    for name, purpose, least in (("report", REPORT, 1), ("compare", COMPARE, 2)):
        command = commands.add_parser(name, help=purpose, description=purpose)
        add = command.add_argument
        add(
            "runs",
            nargs="+",
            type=_path,
            metavar="RUN",
            help="a run folder, or a name in the runs folder",
        )
        add(
            "--to",
            type=_path,
            default="",
            metavar="FILE",
            help="default: report.html, in the folder of a single run",
        )
        add("--max_mb", type=float, default=40.0, help="the page's largest size; default: 40")
        add("--runs_folder", type=_path, default="runs", help="default: runs")
        add("--debug", action="store_true", help="show tracebacks")
        command.set_defaults(least=least)


def _add_init(commands: Any) -> None:
    command = commands.add_parser("init", help=INIT, description=INIT)
    command.add_argument("name", help="of the run; the config is NAME.yaml in the current folder")
    command.add_argument(
        "--data", type=_path, default="", help="your rows: a file, a folder or a hub name"
    )
    _add_overrides(command, "data.image_root=pictures")
    command.add_argument("--split", default="", help="of a folder or hub name; default: train")
    command.add_argument(
        "--model",
        type=_path,
        default="",
        help="a model folder or hub name; default: the quickstart's policy, or the tiny one",
    )
    command.add_argument("--debug", action="store_true", help="show tracebacks")


def _add_generate(commands: Any) -> None:
    command = commands.add_parser("generate", help=GENERATE, description=GENERATE)
    add = command.add_argument
    add(
        "policy",
        type=_path,
        help="a model folder, such as runs/quickstart/rl/policy, or a hub name",
    )
    add(
        "--image", action="append", type=_path, default=[], help="a picture; again for a second one"
    )
    add("--question", default="", help="what is asked; <image> marks where a picture stands")
    add("--input", type=_path, default="", help="a folder of pictures, or a .jsonl of questions")
    add(
        "--output",
        type=_path,
        default="",
        help="a .jsonl for the responses; default: standard output",
    )
    add("--engine", default="vllm", help="vllm (default) or hf, plain transformers")
    add(
        "--max_tokens",
        type=int,
        help=f"of a response, which ends behind its answer anyway; default: {MAX_TOKENS_DEFAULT}",
    )
    add("--temperature", type=float, default=0.6, help="0 is greedy; default: 0.6")
    add("--top_p", type=float, default=0.95, help="default: 0.95")
    add("--num_samples", type=int, default=1, help="responses a question; default: 1")
    add("--seed", type=int, default=0, help="default: 0")
    add("--timeout_seconds", type=float, default=600.0, help="without any response; default: 600")
    add(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="key=value",
        help="model.*, rollout.* or data.*",
    )
    add("--debug", action="store_true", help="show tracebacks")
