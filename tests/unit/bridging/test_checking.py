"""`vr1 check` of a bridging run tries its servers, within a limit, and says of each what it found."""

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from tests.unit.rewards.samples import png
from vr1_ray.bridging import checking
from vr1_ray.bridging.checking import try_servers
from vr1_ray.commands.check import bridge_rows
from vr1_ray.config import BridgeConfig, EndpointConfig, load_config
from vr1_ray.preflight import is_sound, render

MODELS = json.dumps({"data": [{"id": "qwen"}, {"id": "other"}]}).encode()


class Handler(BaseHTTPRequestHandler):
    """Lists two models to who has the key; the path says what else it does."""

    def do_GET(self):
        if self.path.startswith("/slow"):
            time.sleep(3)
        status, body = 200, MODELS
        if self.path.startswith("/locked") and self.headers["Authorization"] != "Bearer sesame":
            status = 401
        if self.path.startswith("/bare"):
            status = 404
        if self.path.startswith("/page"):
            body = b"<html>hello</html>"
        if self.path.startswith("/broken"):
            status = 503
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def found_at(url, *, model="qwen", key=""):
    config = BridgeConfig(
        mllm=EndpointConfig(model=model, base_urls=[url], api_key_env=key),
        reasoner=EndpointConfig(model="r", command=["vllm", "serve"]),
    )
    own, tried = try_servers(config)
    assert (own.name, own.found) == ("bridge.reasoner", "not checked")
    assert "run by `vr1 bridge`" in own.cure
    return tried


@pytest.mark.parametrize(
    ("path", "model", "found", "cure", "is_sound"),
    [
        ("/v1", "qwen", "serves qwen", "", True),
        ("/v1", "qwem", "does not list 'qwem'", "it lists qwen, other; set bridge.mllm.model", False),
        ("/locked/v1", "qwen", "answers 401", "api_key_env", False),
        ("/bare/v1", "qwen", "answers, lists no models", "first request", True),
        ("/page", "qwen", "answers, but with no list of models", "ends in /v1", False),
        ("/broken/v1", "qwen", "answers 503", "look at the server", False),
        ("/slow/v1", "qwen", "no answer within 0.5 s", "start it", False),
    ],
)  # fmt: skip
def test_each_answer_of_a_server_has_its_word_and_cure(
    server, monkeypatch, path, model, found, cure, is_sound
):
    monkeypatch.setattr(checking, "TRY_SECONDS", 0.5 if "slow" in path else 5.0)
    began = time.monotonic()
    tried = found_at(server + path, model=model)
    assert time.monotonic() - began < 6
    assert (tried.found, tried.is_sound) == (found, is_sound)
    assert cure in tried.cure


def test_the_key_is_sent_and_a_closed_door_is_told(server, monkeypatch):
    monkeypatch.setenv("BRIDGE_TEST_KEY", "sesame")
    assert found_at(f"{server}/locked/v1", key="BRIDGE_TEST_KEY").found == "serves qwen"
    tried = found_at(closed_port())
    assert not tried.is_sound
    assert "can't be reached: [Errno 111] Connection refused" in tried.found


def test_a_check_with_a_server_down_is_bad_and_one_with_both_up_is_not(server, tmp_path):
    (tmp_path / "a.png").write_bytes(png().data)
    row = {"question": "How many?", "answer": "3", "image": "a.png"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    source = {"reader": "jsonl", "path": str(tmp_path / "rows.jsonl")}

    def check(reasoner_url):
        config = {
            "kind": "bridge",
            "name": "demo",
            "runs_folder": str(tmp_path / "runs"),
            "bridge": {
                "sources": [source],
                "mllm": {"model": "qwen", "base_urls": [f"{server}/v1"]},
                "reasoner": {"model": "other", "base_urls": [reasoner_url]},
            },
        }
        (tmp_path / "bridge.yaml").write_text(yaml.safe_dump(config))
        rows = bridge_rows(load_config(tmp_path / "bridge.yaml"))
        return is_sound(rows), render(rows)

    is_good, text = check(f"{server}/v1")
    assert is_good, text
    assert "serves other" in text
    is_good, text = check(closed_port())
    assert not is_good
    assert "bridge.reasoner: start it, or mend base_urls" in text
    (tmp_path / "a.png").unlink()
    is_good, text = check(f"{server}/v1")  # what is wrong elsewhere does not hide the servers
    assert not is_good
    assert "serves other" in text
