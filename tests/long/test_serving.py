"""A served policy: the README's own `vllm serve` line, asked by the README's own client."""

import json
import re
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.builders import picture
from vr1_ray.commands.generate import run_generate
from vr1_ray.config import RolloutConfig
from vr1_ray.config.generate import GenerateConfig

ROOT = Path(__file__).parents[2]
README = (ROOT / "examples/serving/README.md").read_text()
QUESTION = "How many red circles are there?"
pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(900)]


def line_with(start: str) -> list[str]:
    """The README's command that has `start` in it, as this environment runs it."""
    lines = README.replace("\\\n", " ").split("\n")
    [line] = [line for line in lines if line.startswith(".venv/bin/") and start in line]
    words = shlex.split(line)
    return [str(Path(sys.executable).parent / Path(words[0]).name), *words[1:]]


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """A live server on vr1-tiny, and where it listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = line_with("--model examples/vr1_tiny/model")
    command[command.index("--port") + 1] = str(port)
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("w") as file:
        server = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file)
        try:
            wait_until_healthy(server, port, log)
            yield port
        finally:
            server.terminate()
            server.wait(timeout=120)


def wait_until_healthy(server: subprocess.Popen, port: int, log: Path) -> None:
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()[-3000:]
        try:
            with urlopen(f"http://127.0.0.1:{port}/health", timeout=10):
                return
        except (URLError, OSError):
            time.sleep(1)
    raise AssertionError(f"not healthy within 600 s:\n{log.read_text()[-3000:]}")


def ask(port: int, image: Path, *more: str) -> subprocess.CompletedProcess:
    command = line_with("ask.py")
    command[command.index("--image") + 1] = str(image)
    command += ["--url", f"http://127.0.0.1:{port}/v1", *more]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_readmes_server_answers_the_openai_client(port, tmp_path):
    image = tmp_path / "figure.png"
    image.write_bytes(picture(5).data)
    done = ask(port, image, "--temperature", "0")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["finish_reason"] == "stop"
    assert not re.search(r"<\|", found["response"])
    # Greedy, so `vr1 generate` says the same: the same pixels, template and weights, on another engine.
    output = tmp_path / "responses.jsonl"
    run_generate(
        GenerateConfig(
            policy=str(ROOT / "examples/vr1_tiny/model"),
            images=[str(image)],
            question=QUESTION,
            output=str(output),
            temperature=0.0,
            max_response_tokens=192,
            rollout=RolloutConfig(engine="hf"),
        )
    )
    assert json.loads(output.read_text())["response"] == found["response"]


def test_the_line_for_gpus_has_options_that_vllm_knows():
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    parsed = make_arg_parser(FlexibleArgumentParser()).parse_args(line_with("vllm serve")[2:])
    assert (parsed.max_model_len, parsed.limit_mm_per_prompt["image"]) == (16384, 5)


def test_a_client_of_a_model_that_is_not_served_gets_the_servers_words(port, tmp_path):
    image = tmp_path / "figure.png"
    image.write_bytes(picture(5).data)
    done = ask(port, image, "--model", "other")
    assert done.returncode == 1
    assert "other" in done.stderr
    assert "Traceback" not in done.stderr
