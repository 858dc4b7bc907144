"""SIGTERM: held inside a step, at once elsewhere, and final when it comes twice."""

import os
import signal
import subprocess
import sys
import time

import pytest

from vr1_ray.runs.stopping import Stopped, StopSignal


@pytest.fixture
def stop():
    before = signal.getsignal(signal.SIGTERM)
    stop = StopSignal()
    stop.listen()
    yield stop
    signal.signal(signal.SIGTERM, before)


def terminate(number=signal.SIGTERM, rest=0.0):
    """Send this process a signal, then work on for `rest` seconds."""
    os.kill(os.getpid(), number)
    time.sleep(rest)


def leave(stop, code, *, is_requested):
    """What a wait for actors does with what a handler raises in it."""
    stop.is_requested = is_requested
    raise SystemExit(code)


def clean_up_after_terminate():
    try:
        terminate(rest=30)
    except Exception:
        pytest.fail("was taken for an error")


def test_a_held_block_is_done_to_its_end_and_asks_for_itself(stop):
    done = []
    with stop.interruptible(), stop.held():
        assert not stop.is_requested
        terminate()
        done.append("the rest of the step")
        assert stop.is_requested
        with pytest.raises(Stopped):
            stop.check()
    assert done == ["the rest of the step"]


def test_an_interruptible_block_ends_at_once_with_exit_code_143(stop):
    began = time.monotonic()
    with pytest.raises(Stopped) as raised, stop.held(), stop.interruptible():
        terminate(rest=30)
    assert raised.value.code == 143
    assert time.monotonic() - began < 10


def test_a_request_that_waited_ends_the_next_interruptible_block_before_it_begins(stop):
    with stop.held():
        terminate()
        with pytest.raises(Stopped), stop.interruptible():
            pytest.fail("the block began")


def test_an_exit_that_ray_made_of_it_gets_its_meaning_back(stop):
    with pytest.raises(Stopped), stop.interruptible():
        leave(stop, 1, is_requested=True)


def test_an_exit_by_rays_own_handler_is_a_stop_too(stop):
    with pytest.raises(Stopped), stop.interruptible():
        leave(stop, signal.SIGTERM, is_requested=False)


def test_another_exit_stays_what_it_is(stop):
    with pytest.raises(SystemExit) as raised, stop.interruptible():
        raise SystemExit(2)
    assert not isinstance(raised.value, Stopped)


def test_no_clean_up_that_catches_exceptions_takes_the_stop(stop):
    with pytest.raises(Stopped), stop.interruptible():
        clean_up_after_terminate()


def test_a_keyboard_interrupt_stays_one(stop):
    # A shell's background jobs, which tests may be one of, begin with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt), stop.interruptible():
        terminate(signal.SIGINT, rest=30)
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("number", "name", "code"), [("SIGTERM", "SIGTERM", 143), ("SIGINT", "Ctrl-C", 130)]
)
def test_a_held_signal_that_comes_twice_at_once_is_one_and_a_later_one_ends_the_process(
    number, name, code
):
    program = f"""
import os, signal, time
from vr1_ray.runs.stopping import SAME_SECONDS, StopSignal
signal.signal(signal.SIGINT, signal.default_int_handler)
stop = StopSignal()
stop.listen()
try:
    with stop.held():
        os.kill(os.getpid(), signal.{number})
        os.kill(os.getpid(), signal.{number})  # `timeout` sends it to the process and to its group
        time.sleep(SAME_SECONDS)
        print("held", stop.is_requested, flush=True)
        os.kill(os.getpid(), signal.{number})
        time.sleep(60)
finally:
    print("cleaned up", flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.returncode, done.stdout) == (code, "held True\n")
    assert done.stderr.splitlines() == [
        f"vr1: {name}: the run saves and ends after this step; again ends it at once"
    ]


def test_ctrl_c_in_training_saves_like_a_sigterm_and_says_130(stop):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    stop.listen()
    try:
        with stop.held():
            terminate(signal.SIGINT)
            assert stop.is_requested
            with pytest.raises(Stopped) as raised, stop.interruptible():
                pytest.fail("the block began")
        assert (raised.value.code, raised.value.cause) == (130, "Ctrl-C")
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_in_an_evaluation_inside_training_ends_it_and_leaves_the_save_to_the_loop(stop):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    stop.listen()
    try:
        with stop.held():
            with pytest.raises(Stopped), stop.interruptible():
                terminate(signal.SIGINT, rest=30)
            assert stop.is_requested
    finally:
        signal.signal(signal.SIGINT, before)
