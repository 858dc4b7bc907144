"""Telling a live run something from another process: one named actor a run, where commands queue.

`runs/NAME/control.json` says where it is, while the run lives. The driver takes the commands between two
steps and answers each; it alone acts. The actor belongs to the driver, so none outlives the run.
"""

import json
import logging
import os
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray._raylet import Config  # type: ignore[attr-defined]  # Ray has no public way to read it again

from vr1_ray.actors.process import end_with_raylet, namespace
from vr1_ray.actors.waiting import ActorError, wait_for
from vr1_ray.config import ConfigError, RunConfig

CONTROL_ACTOR_NAME = "control"
CONTROL_FILE = "control.json"
AUTH_MODE = "RAY_AUTH_MODE"
REFUSED = "refused: "  # how an answer begins that says no
CALL_SECONDS = 30.0
POLL_SECONDS = 0.5  # between two looks for an answer


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaleCommand:
    """How many engines, or how many actors of a reward pool, a run is to have. None leaves them.

    Example:
        ScaleCommand(engines=3)
        ScaleCommand(rewards=4, pool="judge")
    """

    engines: int | None = None
    rewards: int | None = None
    pool: str = "default"


def check_types(command: ScaleCommand) -> None:
    """Raise ConfigError for what is no command: it must not reach the run, which would fail on it."""
    if not isinstance(command, ScaleCommand):
        raise ConfigError(f"{command!r:.80} is no ScaleCommand(engines=N, rewards=N, pool=NAME)")
    for name in ("engines", "rewards"):
        value = getattr(command, name)
        if value is not None and type(value) is not int:
            raise ConfigError(f"--{name} {value!r:.80}: give a whole number")
    if not isinstance(command.pool, str):
        raise ConfigError(f"--pool {command.pool!r:.80}: give the name of a reward pool")


def check_command(command: ScaleCommand, config: RunConfig) -> None:
    """Raise ConfigError, naming the value and the cure, for what a run can't have."""
    check_types(command)
    if command.engines is None and command.rewards is None:
        raise ConfigError("nothing to scale: give --engines N, --rewards N, or both")
    rollout = config.rollout
    if command.engines is not None:
        if config.is_colocated:
            raise ConfigError(
                f"--engines {command.engines}: with cluster.placement=colocated there are as many engines as the "
                "trainer has GPUs for; engines that come and go need cluster.placement=apart"
            )
        least = max(rollout.min_engines, rollout.health.min_healthy)
        if command.engines < least:
            raise ConfigError(
                f"--engines {command.engines}: the run needs {least} at least "
                "(rollout.min_engines, rollout.health.min_healthy)"
            )
        if rollout.max_engines and command.engines > rollout.max_engines:
            raise ConfigError(
                f"--engines {command.engines}: more than rollout.max_engines {rollout.max_engines}"
            )
    if command.rewards is not None:
        used = sorted({spec.pool for spec in config.rewards})
        if command.pool not in used:
            raise ConfigError(
                f"--pool {command.pool}: the run's reward pools are {', '.join(used)}"
            )
        pool = config.reward_pools[command.pool]
        least, most = pool.min_actors or 1, pool.max_actors or command.rewards
        if not least <= command.rewards <= most:
            raise ConfigError(
                f"--rewards {command.rewards}: pool {command.pool} has {least} actors at least"
                + (f" and {most} at most" if pool.max_actors else "")
            )


class ControlActor:
    """Commands on their way to the driver, and its answers on their way back."""

    def __init__(self) -> None:
        end_with_raylet()
        self.commands: list[tuple[int, ScaleCommand]] = []
        self.answers: dict[int, str] = {}
        self.num_sent = 0

    def send(self, command: ScaleCommand) -> int:
        """Queue a command; returns its number, to ask for the answer. Raises ConfigError for what is none."""
        check_types(command)
        self.num_sent += 1
        self.commands.append((self.num_sent, command))
        return self.num_sent

    def take(self) -> list[tuple[int, ScaleCommand]]:
        """All that waits, for the driver."""
        taken, self.commands = self.commands, []
        return taken

    def answer(self, number: int, text: str) -> None:
        self.answers[number] = text

    def answer_of(self, number: int) -> str | None:
        """What the driver said to a command; None while it waits for the next step."""
        return self.answers.get(number)


class Control:
    """The driver's end. A lost actor is replaced: the run goes on, only unanswered commands are lost."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.file = config.folder / CONTROL_FILE
        self._launch()
        address = ray.get_runtime_context().gcs_address
        content = {
            "address": address,
            "namespace": namespace(config),
            "uses_token": _mode() == "token",
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }
        self._text = json.dumps(content)
        self._write()

    def _write(self) -> None:
        """Whole or not at all, and for this user alone unless the run is shared: who reads it may command the run."""
        mode = 0o666 if self.config.tracking.share else 0o600
        self.file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.file.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with open(os.open(unfinished, flags, mode), "w", encoding="utf-8") as file:
            file.write(self._text)
        unfinished.replace(self.file)

    def _launch(self) -> None:
        remote = ray.remote(ControlActor).options(
            name=CONTROL_ACTOR_NAME, namespace=namespace(self.config), num_cpus=0
        )
        self.actor: Any = remote.remote()

    def take(self) -> list[tuple[int, ScaleCommand]]:
        """Commands that came since the last call, with their numbers."""
        try:
            return _call(self.actor.take.remote(), "taking commands")
        except ActorError:  # it may have been on a node that is gone
            ray.kill(self.actor)
            self._launch()
            return []

    def answer(self, number: int, text: str) -> None:
        """Tell the sender what became of a command. Not waited for: the run does not depend on it."""
        self.actor.answer.remote(number, text)

    def close(self) -> None:
        with suppress(OSError):  # it is gone already
            is_own = self.file.read_text(encoding="utf-8") == self._text
            if is_own:  # not that of who took the run over
                self.file.unlink()
        ray.kill(self.actor)


def send(
    folder: Path, command: ScaleCommand, *, wait_seconds: float, named: str | None = None
) -> str:
    """Send a command to the run in `folder`, from any process, and return what the run answers at its next step.

    `named` is the run's `cluster.address`. A token goes to no cluster that neither it nor the user has named.
    Raises ConfigError if the run is not alive or refuses, ActorError if it does not answer within `wait_seconds`.
    """
    check_types(command)
    actor = _find(folder, named)
    number = _call(actor.send.remote(command), "sending the command")
    if not wait_seconds:
        return "sent; the run acts on it at its next step"
    deadline = time.monotonic() + wait_seconds
    while time.monotonic() < deadline:
        text = _call(actor.answer_of.remote(number), "asking for the answer")
        if text is not None:
            if text.startswith(REFUSED):
                raise ConfigError(text)
            return text
        time.sleep(POLL_SECONDS)
    raise ActorError(
        f"{folder}: sent, but the run has not answered within {wait_seconds:.0f} s; it acts between two "
        "steps, so it will if it lives (`vr1 status`); wait longer with --wait SECONDS"
    )


def _find(folder: Path, named: str | None) -> Any:
    """The control actor of a run, after joining its cluster."""
    path = folder / CONTROL_FILE
    problem = f"{folder} has no live run: "
    if not path.is_file():
        raise ConfigError(
            problem + f"there is no {CONTROL_FILE}; it has ended, or is still starting"
        )
    where = json.loads(path.read_text(encoding="utf-8"))
    host, _, port = where["address"].rpartition(":")
    try:
        # Ray itself would try to reach a cluster that is gone for most of a minute.
        socket.create_connection((host, int(port)), timeout=CALL_SECONDS).close()
    except OSError as error:
        raise ConfigError(
            problem + f"its cluster at {where['address']} does not answer ({error})"
        ) from error
    if not ray.is_initialized():
        if where["uses_token"] or _mode() == "token":
            check_may_have_token(path, where["address"], named)
        _join(folder, where)
    try:
        return ray.get_actor(CONTROL_ACTOR_NAME, namespace=where["namespace"])
    except ValueError as error:
        raise ConfigError(problem + "its cluster is there, but not its control actor") from error


def check_may_have_token(path: Path, address: str, named: str | None) -> None:
    """Raise ConfigError unless the cluster at `address`, which `path` names, may be shown this user's token.

    Who has it runs code on every cluster of this user. So it goes where the run's config or RAY_ADDRESS says; to this
    machine, if the file is this user's own; else the user is asked.
    """
    for known in (named, os.environ.get("RAY_ADDRESS")):
        if known and _place(known) in (_place(address), _place(address)[:1]):
            return
    if path.stat().st_uid == os.getuid() and _is_this_machine(_place(address)[0]):
        return
    question = f"{path}: says that the run is on {address}, which its config does not name; send your Ray token there"
    if sys.stdin.isatty() and input(f"{question}? [y/N] ").strip().lower() in ("y", "yes"):
        return
    raise ConfigError(
        f"{question} with RAY_ADDRESS={address} in front of the command, if it is right"
    )


def _place(address: str) -> tuple[str, ...]:
    """Host and port of a cluster; of a Ray client's address the host alone, for its port is another."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    with suppress(OSError):  # a name that nobody knows is compared as it is
        host = socket.gethostbyname(host)
    return (host,) if address.startswith("ray://") else (host, port)


def _is_this_machine(host: str) -> bool:
    try:
        with socket.socket() as one:
            one.bind((host, 0))  # the kernel takes none but its own
    except OSError:
        return False
    return True


def _join(folder: Path, where: dict[str, Any]) -> None:
    """Join the run's cluster, with a token if it asks for one, as every local cluster does."""
    if where["uses_token"] and not _mode():
        # Ray finds the token by itself, but for an address that is given it does not look without this.
        os.environ[AUTH_MODE] = "token"
        Config.initialize("")  # it was read when Ray was imported
    try:
        ray.init(
            address=where["address"],
            namespace=where["namespace"],
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except Exception as error:  # Ray raises ConnectionError, RuntimeError, AuthenticationError
        token = " with a token (RAY_AUTH_TOKEN, or ~/.ray/auth_token of who started the run)"
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ActorError(
            f"{folder}: its cluster at {where['address']} could not be joined"
            f"{token if where['uses_token'] else ''}: {cause}"
        ) from error


def _mode() -> str:
    """Whether this process shows Ray's clusters a token; empty if nobody has said so yet."""
    return os.environ.get(AUTH_MODE, "").lower()


def _call(ref: Any, phase: str) -> Any:
    return wait_for({"the control actor": ref}, phase=phase, timeout_seconds=CALL_SECONDS)[0]
