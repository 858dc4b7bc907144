"""The rehearsal's servers: OpenAI-compatible HTTP on loopback, one process each.

    python -m vr1_ray.figure_math.rehearsal_server --role mllm --data figure_math --port 8001 --ledger mllm.jsonl
    python -m vr1_ray.figure_math.rehearsal_server --role reasoner --port 8002 --ledger reasoner.jsonl

`--data` is a folder of `figure_math` (train.parquet with the drawings). The ledger has one line a request: the
reply's id, the fault of the connection, the fault that was made (`rehearsal_words.py`), the answer meant. A share of first attempts fails: 500, 503,
429, no reply for `--hang_seconds`, or a reply that is none; a few requests fail at every attempt.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from random import Random
from typing import IO, Any

from aiohttp import web

from vr1_ray.figure_math.diagnosis import figure_from_json
from vr1_ray.figure_math.drawing import Figure
from vr1_ray.figure_math.rehearsal_script import Said, reason, see
from vr1_ray.figure_math.rehearsal_words import CONNECTION_FAULT, LASTING_FAULT

CONNECTION_FAULTS = ("500", "503", "429", "hang", "garbled", "empty")
_DATA_URL = re.compile(r"data:image/[a-z]+;base64,(.+)")


def figures_of(data: Path) -> dict[str, Figure]:
    """SHA-256 of each picture's file -> what was drawn."""
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(data / "train.parquet", columns=["images", "figure"])
    return {
        hashlib.sha256(row["images"][0]["bytes"]).hexdigest(): figure_from_json(row["figure"])
        for row in table.to_pylist()
    }


class FigureServer:
    """One role's handlers.

    Example:
        server = FigureServer("reasoner", seed=0, ledger=open("ledger.jsonl", "a"))
        web.run_app(server.app(), host="127.0.0.1", port=8002)
    """

    def __init__(
        self,
        role: str,
        *,
        seed: int,
        ledger: IO[str],
        figures: dict[str, Figure] | None = None,
        half: str = "unseen",
        hang_seconds: float = 8.0,
        faults: bool = True,
        delay_seconds: float = 0.0,
    ) -> None:
        self.role, self.seed, self.ledger = role, seed, ledger
        self.figures, self.half, self.hang_seconds = figures or {}, half, hang_seconds
        self.faults, self.delay_seconds = faults, delay_seconds
        self._attempts: Counter[str] = Counter()

    def app(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=64 << 20)
        app.router.add_get("/v1/models", self.models)
        app.router.add_post("/v1/chat/completions", self.complete)
        return app

    async def models(self, _: web.Request) -> web.Response:
        """What there is to ask."""
        return web.json_response({"object": "list", "data": [{"id": f"figure-{self.role}"}]})

    async def complete(self, request: web.Request) -> web.Response:
        """One chat completion, or a fault of the connection."""
        asked = await request.json()
        body = json.dumps(asked, sort_keys=True)
        reply_id = f"figure-{self.role}-{hashlib.sha256(body.encode()).hexdigest()[:20]}"
        await asyncio.sleep(self.delay_seconds)
        fault = self._connection_fault(reply_id)
        said = self._answer(asked) if not fault else Said(text="")
        line = {
            "reply_id": reply_id,
            "connection": fault,
            "fault": said.fault,
            "answer": said.answer,
        }
        self.ledger.write(json.dumps(line) + "\n")
        self.ledger.flush()
        if not fault:
            return web.json_response(_completion(reply_id, said, asked))
        if fault == "hang":
            await asyncio.sleep(self.hang_seconds)
            return web.Response(status=504)
        if fault == "garbled":
            return web.Response(text='{"id": "x", "choi', content_type="application/json")
        if fault == "empty":
            return web.json_response({"id": reply_id, "object": "chat.completion", "choices": []})
        headers = {"Retry-After": "0.2"} if fault == "429" else {}
        return web.json_response({"error": {"message": "busy"}}, status=int(fault), headers=headers)

    def _connection_fault(self, reply_id: str) -> str:
        self._attempts[reply_id] += 1
        rng = Random(f"{self.seed} connection {reply_id}")
        is_faulty = self.faults and rng.random() < CONNECTION_FAULT
        is_lasting = rng.random() < LASTING_FAULT
        fault = rng.choice(CONNECTION_FAULTS)
        return fault if is_faulty and (is_lasting or self._attempts[reply_id] == 1) else ""

    def _answer(self, asked: dict[str, Any]) -> Said:
        content = asked["messages"][-1]["content"]
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        text = "\n".join(part["text"] for part in parts if part["type"] == "text")
        if self.role == "reasoner":
            return reason(text, self.seed, asked.get("seed"), self.half)
        urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        found = _DATA_URL.fullmatch(urls[0]) if urls else None
        data = base64.b64decode(found[1]) if found else b""
        figure = self.figures.get(hashlib.sha256(data).hexdigest())
        return (
            Said(text="I know no such picture.") if figure is None else see(figure, text, self.seed)
        )


def _completion(reply_id: str, said: Said, asked: dict[str, Any]) -> dict[str, Any]:
    """A chat completion; the thought apart or in the text, as servers differ in that."""
    message: dict[str, Any] = {"role": "assistant", "content": said.text}
    if said.thought and int(reply_id[-1], 16) % 2:
        message["reasoning_content"] = said.thought
    elif said.thought:
        end = "\n</think>\n\n" if said.finish_reason == "stop" else ""
        message["content"] = f"<think>\n{said.thought}{end}{said.text}"
    prompt_tokens = len(json.dumps(asked["messages"][-1]["content"])[-4000:].split())
    completion_tokens = len(f"{said.thought} {said.text}".split())
    return {
        "id": reply_id,
        "object": "chat.completion",
        "created": 0,
        "model": asked.get("model", ""),
        "choices": [{"index": 0, "message": message, "finish_reason": said.finish_reason}],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="A scripted OpenAI-compatible server.")
    parser.add_argument("--role", choices=("mllm", "reasoner"), required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="figure_math folder, for the mllm")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--half", choices=("seen", "unseen"), default="unseen")
    parser.add_argument("--hang_seconds", type=float, default=8.0)
    parser.add_argument("--delay_seconds", type=float, default=0.0, help="before each reply")
    parser.add_argument("--no_faults", action="store_true", help="no faults of the connection")
    args = parser.parse_args()
    args.ledger.parent.mkdir(parents=True, exist_ok=True)
    with args.ledger.open("a", encoding="utf-8") as ledger:
        server = FigureServer(
            args.role,
            seed=args.seed,
            ledger=ledger,
            figures=figures_of(args.data) if args.data else None,
            half=args.half,
            hang_seconds=args.hang_seconds,
            faults=not args.no_faults,
            delay_seconds=args.delay_seconds,
        )
        web.run_app(server.app(), host="127.0.0.1", port=args.port, print=None)


if __name__ == "__main__":
    main()
