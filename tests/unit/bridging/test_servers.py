"""Servers that a run starts: waited for, told of when they fail, and gone with the run."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from vr1_ray.bridging.servers import ServerError, Servers
from vr1_ray.config import BridgeConfig, ConfigError, EndpointConfig

# The smallest server that answers /v1/models.
SERVER = (
    "import sys\nfrom http.server import *\n"
    "class H(BaseHTTPRequestHandler):\n def do_GET(self):\n  self.send_response(200); self.end_headers()\n"
    "HTTPServer(('127.0.0.1', int(sys.argv[1])), H).serve_forever()"
)


def config(*command, **fields):
    return BridgeConfig(mllm=EndpointConfig(model="m", command=list(command), **fields))


def answers(url):
    try:
        with urllib.request.urlopen(f"{url}/models", timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def test_a_server_is_up_when_start_returns_and_gone_after(tmp_path):
    with Servers(tmp_path) as servers:
        started = servers.start(config("{python}", "-c", SERVER, "{port}"))
        [url] = started.mllm.base_urls
        assert answers(url)
        assert started.reasoner.base_urls == []
    assert not answers(url)


def test_a_server_that_ends_is_told_with_its_last_words(tmp_path):
    bad = config("{python}", "-c", "import sys; sys.exit('no such model')", "{port}")
    with (
        Servers(tmp_path) as servers,
        pytest.raises(ServerError, match=r"code 1(.|\n)*no such model"),
    ):
        servers.start(bad)


def test_a_server_that_never_answers_is_given_up(tmp_path):
    slow = config("{python}", "-c", "import time; time.sleep(60)", start_timeout_seconds=0.3)
    with (
        Servers(tmp_path) as servers,
        pytest.raises(ServerError, match=r"did not answer within 0\.3 s"),
    ):
        servers.start(slow)


def test_commands_that_cannot_be_run_are_refused(tmp_path):
    with Servers(tmp_path) as servers:
        with pytest.raises(ConfigError, match=r"bridge\.mllm\.command: 'gpu'; it may use \{port\}"):
            servers.start(config("{gpu}"))
        with pytest.raises(ConfigError, match="'/no/such' can't be run"):
            servers.start(config("/no/such"))
        with pytest.raises(ConfigError, match="base_urls and a command"):
            servers.start(config("x", base_urls=["http://m/v1"]))


def test_a_server_ends_when_its_run_is_killed(tmp_path):
    code = (
        "import time\nfrom pathlib import Path\nfrom vr1_ray.bridging.servers import Servers\n"
        "from vr1_ray.config import BridgeConfig, EndpointConfig\n"
        f"command = ['{{python}}', '-c', {SERVER!r}, '{{port}}']\n"
        f"servers = Servers(Path({str(tmp_path)!r}))\n"
        "config = servers.start(BridgeConfig(mllm=EndpointConfig(model='m', command=command)))\n"
        "print(config.mllm.base_urls[0], flush=True)\ntime.sleep(60)"
    )
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    url = run.stdout.readline().strip()
    assert answers(url)
    os.kill(run.pid, signal.SIGKILL)
    run.wait(10)
    deadline = time.monotonic() + 10
    while answers(url) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not answers(url)
