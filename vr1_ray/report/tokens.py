"""Token colours of a response, one character a token: how wide it is, and how large three differences are.

    w   characters of the text that it covers; "0" is none, up to 74
    s   surprise, -log p of the sampled token at the engine: 0 to f, f from 4 nats on
    d   engine - trainer, in nats: 0 to f, 8 is none, 0 and f are 0.1 and more apart
    r   engine - reference: the same, 2 and more

Sixteen levels are what an eye tells apart, and a tenth of the size of numbers. Entropy over the vocabulary is not saved
by runs; surprise is its one-sample estimate.
"""

from collections.abc import Sequence

import numpy as np

from vr1_ray.report.records import TokenWidths
from vr1_ray.types import Rollout

_FIRST, MAX_WIDTH = ord("0"), 74
_DIGITS = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
SURPRISE_NATS, TRAINER_NATS, REFERENCE_NATS = 4.0, 0.1, 2.0


def token_colours(rollout: Rollout, widths: TokenWidths) -> dict[str, str] | None:
    """The characters by name; None where tokens and text don't meet or there is nothing to colour by."""
    engine = rollout.rollout_logprobs
    if engine is None or not rollout.response_ids:
        return None
    found = widths(rollout.response_ids, rollout.text)
    if found is None or max(found, default=0) > MAX_WIDTH:
        return None
    sampled = np.asarray(engine, dtype=np.float64)
    colours = {
        "w": bytes(_FIRST + width for width in found).decode("ascii"),
        "s": _levels(np.sqrt(np.clip(-sampled / SURPRISE_NATS, 0.0, 1.0)) * 15.0),
    }
    others = (
        ("d", rollout.policy_logprobs, TRAINER_NATS),
        ("r", rollout.ref_logprobs, REFERENCE_NATS),
    )
    for name, other, limit in others:
        if other is not None and len(other) == len(engine):
            colours[name] = _signed(sampled - np.asarray(other, dtype=np.float64), limit)
    return colours


def _signed(difference: np.ndarray, limit: float) -> str:
    """A root, so that small differences show too; 8 is none."""
    share = np.clip(difference / limit, -1.0, 1.0)
    return _levels(8.0 + np.sign(share) * np.sqrt(np.abs(share)) * 7.5)


def _levels(values: np.ndarray) -> str:
    whole = np.clip(np.rint(np.nan_to_num(values)), 0, 15).astype(np.uint8)
    return _DIGITS[whole].tobytes().decode("ascii")


def widths_of(pieces: Sequence[str], text: str) -> list[int] | None:
    """The widths of tokens whose texts, one behind the other, are the response's; None if they are not."""
    return [len(piece) for piece in pieces] if "".join(pieces) == text else None
