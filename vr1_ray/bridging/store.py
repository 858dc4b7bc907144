"""Every reply a model gave, kept on disk by the content of its request: nothing is asked for twice.

The key is the hash of model, messages (images by their content), arguments and candidate number; so an
interrupted run, a run with other rules, or one with other prompts in a later stage takes what is there. It is
one SQLite file with one writer: `pipeline.py` gives it an actor of its own. A reply is on disk before its row
goes on, and a process killed at any point leaves a sound file.
"""

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL) WITHOUT ROWID"
)


def request_key(request: Mapping[str, Any]) -> str:
    """The key of a request: JSON with sorted keys, hashed."""
    content = json.dumps(request, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(content.encode()).hexdigest()[:40]


class ReplyStore:
    """Replies by key.

    Example:
        store = ReplyStore("runs/demo/store.sqlite")
        store.put({key: '{"text": "3"}'})
        store.get([key])  # {key: '{"text": "3"}'}
    """

    def __init__(self, path: str) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, check_same_thread=False)
        # In WAL mode a commit survives the death of the process; NORMAL spares a disk flush for each.
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(_SCHEMA)

    def get(self, keys: list[str]) -> dict[str, str]:
        """The replies that are there, by key."""
        found: dict[str, str] = {}
        for start in range(0, len(keys), 500):  # SQLite bounds the variables of a statement
            part = keys[start : start + 500]
            marks = ",".join("?" * len(part))
            query = f"SELECT key, reply FROM replies WHERE key IN ({marks})"
            found.update(self._database.execute(query, part).fetchall())
        return found

    def put(self, replies: dict[str, str]) -> None:
        """Keep replies, in one transaction; one that is there already stays."""
        with self._database:
            self._database.executemany(
                "INSERT OR IGNORE INTO replies VALUES (?, ?)", list(replies.items())
            )

    def __len__(self) -> int:
        return self._database.execute("SELECT COUNT(*) FROM replies").fetchone()[0]

    def close(self) -> None:
        """Close the file; the last to do so leaves one file, without a write-ahead log beside it."""
        self._database.close()
