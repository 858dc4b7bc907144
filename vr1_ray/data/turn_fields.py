"""What stands in a turn of a chat beside its role and its text: what a response would lose without it is refused.

A server keeps a model's thoughts apart (`reasoning_content`) and its calls of tools (`tool_calls`); a demonstration that
is read without them teaches to answer without thinking. Of a row with a response column the columns are looked at in
the same way.
"""

from typing import Any

from vr1_ray.data.picture_cells import is_empty
from vr1_ray.data.refusals import shortened

READ = ("from", "role", "value", "content")
_THOUGHTS = ("reasoning_content", "reasoning", "thinking", "thinking_blocks", "reasoning_details")
_CALLS = ("tool_calls", "function_call", "tools", "functions")
_WEIGHTS = (
    "weight",
    "loss_weight",
    "loss",
    "train",
)  # of turns to be trained on, 0 or false for one that is not


def untaught(fields: dict[str, Any], text: str, column: str = "") -> str:
    """What a turn or row holds of its response beside the text, as a message with the cure; "" if nothing is lost.

    Example:
        untaught({"role": "assistant", "content": "3", "reasoning_content": "1 + 2"}, "3", "messages")
    """
    where = f"{column}: a turn's " if column else ""
    for name in _THOUGHTS:
        cell = fields.get(name)
        is_told = isinstance(cell, str) and cell.strip() in text
        if not _is_nothing(cell) and not is_told:
            return (
                f"{where}{name}: {shortened(cell, 40)} is not part of the response, which would teach to answer without "
                "it; write it into the response as <think>...</think>, or drop the field"
            )
    for name in _CALLS:
        if not _is_nothing(fields.get(name)):
            return (
                f"{where}{name}: {shortened(fields[name], 40)}, and calls of tools are not supported; drop the row, or the "
                "field if the response is whole without it"
            )
    for name in _WEIGHTS if column else ():
        if fields.get(name) in (0, "0", "false", "False"):
            return (
                f"{where}{name}: {fields[name]!r} says that its response is not to be learned, and all are; drop the row, "
                "or the field"
            )
    return ""


def _is_nothing(cell: Any) -> bool:
    """Whether a cell is empty, also written as JSON text, or as a struct whose every field is."""
    if isinstance(cell, dict):
        return all(map(_is_nothing, cell.values()))
    return is_empty(cell) or (isinstance(cell, str) and cell.strip() in ("[]", "{}", "null"))


def unused_fields(turn: dict[str, Any]) -> list[str]:
    """What a turn holds that nothing reads, by name."""
    return [str(name) for name, cell in turn.items() if name not in READ and not _is_nothing(cell)]
