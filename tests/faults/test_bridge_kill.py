"""`vr1 bridge` killed with -9 in the middle: the next run asks for what is missing alone, and ends the same."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager

import pytest

from vr1_ray.figure_math.dataset import write_split

NUM_ROWS = 120


@contextmanager
def servers(folder):
    """Both scripted servers, which outlive the run; their ledgers count every request."""
    started, urls = [], []
    for role in ("mllm", "reasoner"):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        words = [sys.executable, "-m", "vr1_ray.figure_math.rehearsal_server", "--role", role]
        words += ["--port", str(port), "--ledger", str(folder / f"{role}.jsonl")]
        words += ["--data", str(folder), "--no_faults", "--delay_seconds", "0.1"]
        started.append(subprocess.Popen(words))
        urls.append(f"http://127.0.0.1:{port}/v1")
    try:
        for url in urls:
            wait_until(lambda url=url: answers(url), 120)
        yield urls
    finally:
        for process in started:
            process.kill()
            process.wait(10)


def answers(url):
    try:
        with urllib.request.urlopen(f"{url}/models", timeout=2):
            return True
    except OSError:
        return False


def wait_until(is_done, seconds):
    deadline = time.monotonic() + seconds
    while not is_done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def command(folder, urls, name):
    overrides = [f"name={name}", f"runs_folder={folder}", "bridge.rehearsal.num_questions=0"]
    overrides += [f"bridge.sources=[{{reader: geometry3k, path: {folder}/train.parquet}}]"]
    for role, url in zip(("mllm", "reasoner"), urls, strict=True):
        overrides += [f"bridge.{role}.command=[]", f"bridge.{role}.base_urls=[{url}]"]
        overrides += [f"bridge.{role}.max_concurrent=8", f"bridge.{role}.timeout_seconds=30"]
    overrides += ["bridge.rows_per_block=4", "cluster.num_cpus=4", "cluster.address=local"]
    return [
        sys.executable,
        "-m",
        "vr1_ray.cli",
        "bridge",
        "configs/bridge_quickstart.yaml",
        *overrides,
    ]


def requests(folder):
    """Reply ids of all requests so far, reasoner's and MLLM's."""
    found = []
    for role in ("mllm", "reasoner"):
        path = folder / f"{role}.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        found += [json.loads(line)["reply_id"] for line in lines if line.endswith("}")]
    return found


def stored(folder):
    """Reply ids that were on disk."""
    with sqlite3.connect(folder / "store.sqlite", timeout=10) as database:
        return {
            json.loads(text)["reply_id"]
            for (text,) in database.execute("SELECT reply FROM replies")
        }


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kill_9_in_the_middle_repeats_no_finished_request_and_ends_the_same(tmp_path):
    write_split(tmp_path, "train", 0, NUM_ROWS)
    with servers(tmp_path) as urls:
        run = subprocess.Popen(command(tmp_path, urls, "killed"), start_new_session=True)
        wait_until(lambda: len(requests(tmp_path)) >= NUM_ROWS, 300)
        os.kill(run.pid, signal.SIGKILL)
        run.wait(30)
        time.sleep(5)  # Ray's own processes end after their driver
        finished, before = stored(tmp_path / "killed"), requests(tmp_path)
        assert len(finished) >= NUM_ROWS // 2
        subprocess.run(command(tmp_path, urls, "killed"), check=True, timeout=400)
        again = Counter(requests(tmp_path)) - Counter(before)
        assert again
        assert not set(again) & finished
        subprocess.run(command(tmp_path, urls, "whole"), check=True, timeout=400)
    for name in (
        "demonstrations_llava.json",
        "demonstrations_mulberry.json",
        "train-00000.parquet",
    ):
        killed, whole = (tmp_path / run / "dataset" / name for run in ("killed", "whole"))
        assert killed.read_bytes() == whole.read_bytes(), name
