"""Commands for a live run from another process, through the run's control actor on a real Ray."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import ray

from vr1_ray.actors.control import REFUSED, Control, ScaleCommand, send
from vr1_ray.actors.waiting import ActorError
from vr1_ray.config import ConfigError, RunConfig

pytestmark = pytest.mark.ray


@pytest.fixture
def control(local_ray, tmp_path):
    control = Control(RunConfig(kind="rl", name="controlled", runs_folder=str(tmp_path)))
    yield control
    control.close()


def send_elsewhere(control, command, wait_seconds=120.0):
    """In another process, as `vr1 scale` is."""
    task = ray.remote(num_cpus=0)(send)
    return task.remote(control.config.folder, command, wait_seconds=wait_seconds)


def take(control):
    """The next command, when it comes."""
    deadline = time.monotonic() + 120
    while not (commands := control.take()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return commands


def test_a_command_waits_for_the_run_and_its_sender_for_the_answer(control):
    command = ScaleCommand(engines=3)
    answer = send_elsewhere(control, command)
    [(number, found)] = take(control)
    assert found == command
    assert control.take() == []
    control.answer(number, "engines: 1 -> 3")
    assert ray.get(answer, timeout=120) == "engines: 1 -> 3"


def start_in_a_new_shell(control, **environment):
    """`send` in a process that knows nothing of this cluster but the run folder."""
    code = (
        "import sys, pathlib; from vr1_ray.actors.control import ScaleCommand, send;"
        "print(send(pathlib.Path(sys.argv[1]), ScaleCommand(engines=3), wait_seconds=100))"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.Popen(
        [sys.executable, "-c", code, control.config.folder],
        env=clean | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_shell_that_was_told_nothing_joins_a_local_run(control):
    """Ray gives every cluster that a run starts a token, and asks others for it."""
    assert json.loads(control.file.read_text())["uses_token"]
    sender = start_in_a_new_shell(control)
    [(number, _)] = take(control)
    control.answer(number, "engines: 1 -> 3")
    out, err = sender.communicate(timeout=120)
    assert out == "engines: 1 -> 3\n", err


def test_a_shell_with_another_token_is_told_what_is_asked_of_it(control):
    sender = start_in_a_new_shell(control, RAY_AUTH_TOKEN="0" * 64)
    _, err = sender.communicate(timeout=120)
    assert "could not be joined with a token (RAY_AUTH_TOKEN, or ~/.ray/auth_token" in err


def test_the_control_file_is_whole_and_for_its_user_alone(control):
    assert control.file.stat().st_mode & 0o777 == 0o600
    assert not list(control.file.parent.glob("*.unfinished"))


def test_a_run_that_was_taken_over_leaves_the_other_ones_control_file(local_ray, tmp_path):
    control = Control(RunConfig(kind="rl", name="taken", runs_folder=str(tmp_path)))
    control.file.write_text("of the other")
    control.close()
    assert control.file.read_text() == "of the other"


def test_a_refusal_is_an_error_for_the_sender(control):
    answer = send_elsewhere(control, ScaleCommand(engines=99))
    [(number, _)] = take(control)
    control.answer(number, f"{REFUSED}--engines 99: too many")
    with pytest.raises(ConfigError, match="--engines 99: too many"):
        ray.get(answer, timeout=120)


def test_a_run_that_does_not_answer_is_said_not_waited_for_for_ever(control):
    with pytest.raises(ActorError, match="has not answered within 1 s"):
        send(control.config.folder, ScaleCommand(engines=2), wait_seconds=1.0)
    text = send(control.config.folder, ScaleCommand(engines=2), wait_seconds=0)
    assert text == "sent; the run acts on it at its next step"


def test_a_control_actor_that_dies_is_replaced_and_the_run_hears_the_next_command(control):
    process = ray.get(control.actor.__ray_call__.remote(lambda actor: os.getpid()), timeout=120)
    os.kill(process, signal.SIGKILL)
    assert control.take() == []
    send(control.config.folder, ScaleCommand(rewards=2), wait_seconds=0)
    [(_, found)] = take(control)
    assert found == ScaleCommand(rewards=2)


def test_a_run_that_has_ended_takes_no_commands(local_ray, tmp_path):
    control = Control(RunConfig(kind="rl", name="ended", runs_folder=str(tmp_path)))
    control.close()
    with pytest.raises(ConfigError, match=r"there is no control\.json; it has ended"):
        send(control.config.folder, ScaleCommand(engines=2), wait_seconds=0)
    control.file.write_text(
        '{"address": "127.0.0.1:1", "namespace": "vr1-ended", "uses_token": false}'
    )
    with pytest.raises(ConfigError, match=r"cluster at 127\.0\.0\.1:1 does not answer"):
        send(control.config.folder, ScaleCommand(engines=2), wait_seconds=0)
