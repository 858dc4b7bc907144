"""`python -m tests.unit.cures`: brings untried.txt up to date with the package; a new line's reason is yours to write.

What a case brings about, and what is no longer in the package, goes; what is new comes with the reason of its room, if
that has one.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from tests.unit.cures.inventory import UNTRIED, messages, untried
from tests.unit.cures.test_cures import CASES, told

ROOMS = {
    "actors/": "of a live cluster: tests/integration, tests/faults",
    "rollout/": "of a live engine, after what preflight checks: tests/unit/rollout",
    "training/": "of a live trainer: tests/unit/training",
    "pictures.py": "of a kind of file, as those that are tried: tests/unit/data/test_pictures.py",
    "preflight/": "a row of `vr1 check` on machines or sizes: tests/unit/preflight",
    "figure_math/": "no message but a thought",
}
HEAD = (
    "# Messages with a cure that no case brings about: FILE | TEXT | why not. See test_cures.py.\n"
)


def main() -> None:
    with TemporaryDirectory() as folder:
        said = []
        for number, case in enumerate(CASES):
            own = Path(folder) / str(number)
            own.mkdir()
            said.append(told(case, own))
    known = untried()
    lines = []
    for message in messages():
        if any(map(message.is_in, said)):
            continue
        room = next((why for start, why in ROOMS.items() if message.file.startswith(start)), "")
        reason = known.get((message.file, message.text), "") or room
        lines.append(f"{message.file} | {message.text!r} | {reason}\n")
    UNTRIED.write_text(HEAD + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
