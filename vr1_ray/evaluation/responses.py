"""Responses of a benchmark on disk: one line a sample, written as it comes, so that a run goes on where it was.

NAME.responses.jsonl    {"question_id": "225", "sample": 0, "response": "...", "tokens": 31, ...}
settings.json           how they were sampled; others can't be mixed in
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vr1_ray.config import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """One sampled response to one question.

    Example:
        Response(question_id="225", sample=0, response="<think> ...", tokens=31, is_cut=False, times_asked=1)
    """

    question_id: str
    sample: int
    response: str
    tokens: int
    is_cut: bool  # met the response budget
    times_asked: int = 1  # protocol "paper" asks again after a broken format


class ResponseFile:
    """The responses of one benchmark in one evaluation.

    Example:
        file = ResponseFile(folder / "mathvista.responses.jsonl")
        file.append([Response(...)])
        file.read()    # {"225": [Response, ...]}
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, responses: Iterable[Response]) -> None:
        """Write a question's responses in one go; a torn last line is dropped when read."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(asdict(response)) + "\n" for response in responses)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text)

    def read(self) -> dict[str, list[Response]]:
        """All responses by question, each question's in sample order. Mends a torn last line."""
        found: dict[str, dict[int, Response]] = defaultdict(dict)
        if not self.path.is_file():
            return {}
        text = self.path.read_text(encoding="utf-8")
        if text and not text.endswith("\n"):
            text = text[: text.rfind("\n") + 1]
            self.path.write_text(text, encoding="utf-8")
        for line in text.splitlines():
            response = Response(**json.loads(line))
            found[response.question_id][response.sample] = response
        return {name: [by[sample] for sample in sorted(by)] for name, by in found.items()}


def check_settings(path: Path, settings: dict[str, Any]) -> None:
    """Write how an evaluation samples, or compare with what is written. Raises ConfigError naming what differs."""
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        changed = [key for key in settings if before.get(key) != settings[key]]
        if changed:
            raise ConfigError(
                f"{', '.join(changed)}: changed since the responses in {path.parent} were sampled; give the evaluation "
                "another eval.label or the run another name, or start over with checkpoint.resume=never"
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings, indent=1), encoding="utf-8")
