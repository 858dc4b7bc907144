"""What flows through the pipeline: a row, the replies it got, and what became of it.

All of it is JSON, one line a row: so a block of Ray Data is one column of text, whatever a source's own columns
are, and everything on disk can be read with any tool. Images travel as paths and are read where they are sent.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from vr1_ray.pictures import IMAGE_MARK

IMAGE_ROOT = "image_root of its entry in bridge.sources"  # as a message calls it


@dataclass(frozen=True, kw_only=True, slots=True)
class BridgeRow:
    """One question to bridge.

    Example:
        BridgeRow(index=0, row_id="9f0c", source="jsonl 0", question="<image>How many?", answer="3",
                  images=("1.png",), image_root="/data/images")
    """

    index: int  # place among all rows of the run, from 0
    row_id: str  # hash of question, answer and images: the same in every run
    source: str  # reader and the row's own id, to find it again
    question: str  # with one `<image>` mark per image
    answer: str
    images: tuple[str, ...]  # paths below image_root
    image_root: str
    pseudo_cot: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The question without its image marks, as it is put into a template."""
        return self.question.replace(IMAGE_MARK, "").strip()


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What a model answered to one request, as it is kept in the store.

    Example:
        Reply(reply_id="chatcmpl-1", text="Final Answer: 3", thought="Okay, ...", finish_reason="stop",
              prompt_tokens=120, completion_tokens=80)
    """

    reply_id: str  # the server's own, to find it in the server's log
    text: str
    thought: str | None  # if the server sends the reasoning apart from the text
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    is_new: bool = True  # asked for in this run; one that comes from the store is not


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One chain of a question, and the rules that dropped it; none: it passed.

    Example:
        Candidate(number=0, reply_id="chatcmpl-1", thought="Okay, ...", answer="3", dropped_by=("looping",))
    """

    number: int
    reply_id: str
    thought: str  # rewritten
    answer: str
    dropped_by: tuple[str, ...] = ()
    rewritten_by: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """A row, and what became of it: a chain, or the reason why there is none.

    If a stage had no result at all, `failed_at` is that stage and `failed` says what went wrong: LABEL: TEXT.
    """

    row: BridgeRow
    replies: dict[str, list[Reply]] = field(default_factory=dict)  # stage -> its replies
    candidates: tuple[Candidate, ...] = ()
    kept: int | None = None  # number of the candidate that was taken
    failed: str = ""
    failed_at: str = ""

    @property
    def chosen(self) -> Candidate | None:
        """The candidate that was taken."""
        return next((item for item in self.candidates if item.number == self.kept), None)

    @property
    def reason(self) -> str:
        """Why there is no chain: `failed`, or the first rule that dropped the first candidate; "" if there is one."""
        if self.kept is not None:
            return ""
        return self.failed or self.candidates[0].dropped_by[0]


def to_json(record: BridgeRow | Outcome) -> str:
    """One line of JSON."""
    return json.dumps(asdict(record), ensure_ascii=False)


def row_from_json(text: str | dict[str, Any]) -> BridgeRow:
    """What `to_json` wrote of a row."""
    values = json.loads(text) if isinstance(text, str) else text
    return BridgeRow(**{**values, "images": tuple(values["images"])})


def outcome_from_json(text: str) -> Outcome:
    """What `to_json` wrote of an outcome."""
    values = json.loads(text)
    known = {item.name for item in fields(Candidate)} - {"dropped_by", "rewritten_by"}
    return Outcome(
        row=row_from_json(values["row"]),
        replies={
            stage: [Reply(**reply) for reply in replies]
            for stage, replies in values["replies"].items()
        },
        candidates=tuple(
            Candidate(
                **{key: item[key] for key in known},
                dropped_by=tuple(item["dropped_by"]),
                rewritten_by=tuple(item["rewritten_by"]),
            )
            for item in values["candidates"]
        ),
        kept=values["kept"],
        failed=values["failed"],
        failed_at=values["failed_at"],
    )
