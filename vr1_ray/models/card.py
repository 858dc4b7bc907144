"""The card of a policy folder for this code: which runs made it, from which base, with which system prompt."""

import json
from pathlib import Path
from typing import Any

POLICY_CARD = "vr1_policy.json"  # written beside the weights by `vr1 sft` and `vr1 rl`


def read_card(policy: str) -> dict[str, Any]:
    """What the card of a policy folder says; nothing for a model that was not made here."""
    path = Path(policy) / POLICY_CARD
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
