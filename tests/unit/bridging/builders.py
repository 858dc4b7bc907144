"""What the tests of bridging build: rows, replies, outcomes, pictures."""

from vr1_ray.bridging.rows import BridgeRow, Candidate, Outcome, Reply
from vr1_ray.figure_math.dataset import encode_png
from vr1_ray.figure_math.drawing import RectangleFigure


def picture(left=0):
    """A small PNG, another for each `left`."""
    return encode_png(RectangleFigure(colour="red", width=2, height=3, left=left, top=0))


def row(folder, index=0, **fields):
    """A row whose picture lies in `folder`."""
    (folder / f"{index}.png").write_bytes(picture(index % 4))
    values = {
        "index": index,
        "row_id": f"row{index}",
        "source": f"jsonl {index}",
        "question": "<image>How wide is the rectangle?",
        "answer": "2",
        "images": (f"{index}.png",),
        "image_root": str(folder),
    }
    return BridgeRow(**{**values, **fields})


def reply(text="Final Answer:2", thought="Two units wide, I see. The answer is 2.", **fields):
    """What a reasoner answered."""
    values = {
        "reply_id": "id",
        "finish_reason": "stop",
        "prompt_tokens": 10,
        "completion_tokens": 20,
    }
    return Reply(**{**values, "text": text, "thought": thought, **fields})


def kept(folder, index=0, thought="Hmm, wait. Two units wide. The answer is 2.", **fields):
    """An outcome with a chain."""
    return Outcome(
        row=row(folder, index, **fields),
        replies={"pseudo_cot": [reply()], "description": [reply()], "reasoning": [reply()]},
        candidates=(Candidate(number=0, reply_id="id", thought=thought, answer="2"),),
        kept=0,
    )


def dropped(folder, index=0, rules=("wrong_answer",)):
    """An outcome whose only chain broke rules."""
    outcome = kept(folder, index)
    candidate = Candidate(number=0, reply_id="id", thought="Three.", answer="3", dropped_by=rules)
    return Outcome(row=outcome.row, replies=outcome.replies, candidates=(candidate,))
