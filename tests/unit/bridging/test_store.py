"""Replies on disk: by content, once, and sound after a kill."""

import subprocess
import sys

from vr1_ray.bridging.store import ReplyStore, request_key


def test_the_key_is_of_the_content_not_of_its_order():
    assert request_key({"a": 1, "b": [2]}) == request_key({"b": [2], "a": 1})
    assert request_key({"a": 1}) != request_key({"a": 2})


def test_the_first_reply_stays(tmp_path):
    store = ReplyStore(str(tmp_path / "store.sqlite"))
    store.put({"k": "first"})
    store.put({"k": "second", "l": "other"})
    assert store.get(["k", "l", "none"]) == {"k": "first", "l": "other"}
    assert len(store) == 2
    store.close()


def test_more_keys_than_one_statement_takes(tmp_path):
    store = ReplyStore(str(tmp_path / "store.sqlite"))
    store.put({str(number): "x" for number in range(1201)})
    assert len(store.get([str(number) for number in range(1201)])) == 1201
    store.close()


def test_what_was_put_is_there_after_a_kill(tmp_path):
    path = tmp_path / "store.sqlite"
    code = (
        "import os, signal\nfrom vr1_ray.bridging.store import ReplyStore\n"
        f"store = ReplyStore({str(path)!r})\nstore.put({{'k': 'kept'}})\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
    assert killed.returncode == -9
    store = ReplyStore(str(path))
    assert store.get(["k"]) == {"k": "kept"}
    store.close()
