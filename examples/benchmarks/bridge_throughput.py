"""How many rows a second the bridging pipeline moves, and whether its memory stays flat.

    python examples/benchmarks/bridge_throughput.py --rows 100000

Real HTTP servers, in a process of their own, answer every request after 1 ms, so what is measured is the
pipeline: reading and checking a picture twice a row, three requests through the `openai` package, the store,
the rules and Ray Data; not the files of the dataset. Every eighth of the rows it prints rows a second since the
start, and the resident memory of the run and all of Ray's workers. Shared memory that Ray's object store
maps is counted in each process that touched it, so the sum is an upper bound.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import psutil
from aiohttp import web

from vr1_ray.actors.cluster import connect
from vr1_ray.bridging.intake import take_in
from vr1_ray.bridging.pipeline import run_pipeline
from vr1_ray.bridging.servers import Servers
from vr1_ray.config import (
    BridgeConfig,
    BridgeSourceConfig,
    ClusterConfig,
    EndpointConfig,
    RunConfig,
)
from vr1_ray.figure_math.dataset import encode_png
from vr1_ray.figure_math.drawing import RectangleFigure

DELAY_SECONDS = 0.001
REPLY = {
    "id": "stub",
    "object": "chat.completion",
    "created": 0,
    "model": "stub",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {
                "role": "assistant",
                "content": "Final Answer:2",
                "reasoning_content": "Okay, let's see. The rectangle is two units wide. " * 3,
            },
        }
    ],
    "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
}


def serve(port: int) -> None:
    """The stub: one reply to everything."""
    body = json.dumps(REPLY).encode()

    async def complete(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(DELAY_SECONDS)
        return web.Response(body=body, content_type="application/json")

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"data": []})

    app = web.Application(client_max_size=64 << 20)
    app.router.add_get("/v1/models", models)
    app.router.add_post("/v1/chat/completions", complete)
    web.run_app(app, host="127.0.0.1", port=port, print=None)


def resident_mib() -> float:
    """Resident memory of this process and of everything Ray started."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue  # it has just ended
    return total / 2**20


def write_rows(folder: Path, rows: int) -> Path:
    """A source of `rows` different questions about one picture."""
    (folder / "1.png").write_bytes(
        encode_png(RectangleFigure(colour="red", width=2, height=3, left=0, top=0))
    )
    path = folder / "rows.jsonl"
    with path.open("w") as file:
        for number in range(rows):
            question = f"How wide is the rectangle (question {number})?"
            file.write(json.dumps({"question": question, "answer": "2", "image": "1.png"}) + "\n")
    return path


def measure(folder: Path, rows: int) -> None:
    """Run the pipeline and print its figures."""
    command = ["{python}", str(Path(__file__).resolve()), "--serve", "{port}"]
    stub = EndpointConfig(model="stub", command=command, max_concurrent=64)
    source = BridgeSourceConfig(reader="jsonl", path=str(write_rows(folder, rows)))
    bridge = BridgeConfig(sources=[source], mllm=stub, reasoner=replace(stub), rows_per_block=64)
    config = RunConfig(
        kind="bridge",
        name="throughput",
        runs_folder=str(folder),
        bridge=bridge,
        cluster=ClusterConfig(address="local", step_timeout_seconds=300),
    )
    with Servers(folder / "logs") as servers:
        bridge = servers.start(bridge)
        intake = take_in(bridge, folder / "run")
        connect(config)
        outcomes = run_pipeline(
            bridge,
            intake,
            seed=0,
            store_path=folder / "run/store.sqlite",
            timeout_seconds=config.cluster.step_timeout_seconds,
        )
        began = first = None
        kept = 0
        for done, outcome in enumerate(outcomes, start=1):
            began = began or time.monotonic()
            first = first or done
            kept += outcome.kept is not None
            if done % max(1, rows // 8) == 0:
                seconds = time.monotonic() - began
                print(
                    f"{done:>8} rows  {(done - first) / seconds:7.1f} rows/s  {resident_mib():7.0f} MiB",
                    flush=True,
                )
        assert kept == rows, f"{kept} of {rows} kept"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Rows a second of the bridging pipeline.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve)
        return
    with tempfile.TemporaryDirectory() as folder:
        print(f"{args.rows} rows, {psutil.cpu_count()} cores, Python {sys.version.split()[0]}")
        measure(Path(folder), args.rows)


if __name__ == "__main__":
    main()
