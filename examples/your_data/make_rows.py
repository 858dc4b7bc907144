"""Rows in every form that is read, of pictures drawn by code, to try the way from data to a policy on.

    python -m examples.your_data.make_rows --folder data/yours --number 1800

data/yours/pictures/  the pictures; beside them one file a form, each with the same questions: see FORMS.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vr1_ray.data.references import final_answer
from vr1_ray.figure_math.dataset import encode_png, random_items
from vr1_ray.figure_math.questions import solve
from vr1_ray.figure_math.thoughts import demonstration

Row = dict[str, Any]


def geometry3k(row: Row) -> Row:
    """The columns of geometry3k and of Vision-R1-rl."""
    return {"problem": f"<image>{row['text']}", "images": [row["picture"]], "answer": row["answer"]}


def question(row: Row) -> Row:
    """A question and its picture."""
    return {"question": row["text"], "image": row["picture"], "answer": row["answer"]}


def verl(row: Row) -> Row:
    """A chat prompt, as verl has it."""
    return {
        "prompt": [{"role": "user", "content": f"<image>{row['text']}"}],
        "images": [row["picture"]],
        "reward_model": {"ground_truth": row["answer"]},
    }


def trl(row: Row) -> Row:
    """A chat whose content is a list of parts."""
    parts = [{"type": "image", "image": row["picture"]}, {"type": "text", "text": row["text"]}]
    return {
        "messages": [{"role": "user", "content": parts}],
        "solution": f"<answer>{row['answer']}</answer>",
    }


def sharegpt(row: Row) -> Row:
    """ShareGPT, as Vision-R1-cold has it."""
    turns = [
        {"from": "human", "value": f"<image>{row['text']}"},
        {"from": "gpt", "value": row["response"]},
    ]
    return {"conversations": turns, "image": row["picture"]}


def messages(row: Row) -> Row:
    """A chat with its response."""
    turns = [
        {"role": "user", "content": f"<image>{row['text']}"},
        {"role": "assistant", "content": row["response"]},
    ]
    return {"messages": turns, "images": [row["picture"]]}


def query(row: Row) -> Row:
    """A query and its response."""
    return {"query": row["text"], "response": row["response"], "images": [row["picture"]]}


def own_names(row: Row) -> Row:
    """Columns that nobody knows: `vr1 init` finds them, and writes their names into the config."""
    return {"frage": row["text"], "bild": row["picture"], "label": row["answer"]}


FORMS: dict[str, Callable[[Row], Row]] = {
    "geometry3k": geometry3k,
    "question": question,
    "verl": verl,
    "trl": trl,
    "sharegpt": sharegpt,
    "messages": messages,
    "query": query,
    "own_names": own_names,
}
WITH_RESPONSES = ("sharegpt", "messages", "query")


def write_rows(folder: Path, number: int, seed: int = 0) -> list[Path]:
    """Write `number` rows in each form; returns the files."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    rows = []
    for index, (figure, asked, rng) in enumerate(random_items("demonstrations", seed, number)):
        picture = f"pictures/{index:06d}.png"
        (folder / picture).write_bytes(encode_png(figure))
        response = demonstration(asked, figure, rng)
        answer = solve(asked, figure)
        assert final_answer(response) is not None
        rows.append(
            {"text": asked.text, "picture": picture, "answer": answer, "response": response}
        )
    paths = []
    for name, form in FORMS.items():
        paths.append(folder / f"{name}.jsonl")
        lines = (json.dumps(form(row), ensure_ascii=False) + "\n" for row in rows)
        paths[-1].write_text("".join(lines), encoding="utf-8")
    return paths


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write rows in every form that is read.")
    parser.add_argument("--folder", type=Path, default=Path("data/yours"))
    parser.add_argument("--number", type=int, default=1800)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for path in write_rows(args.folder, args.number, args.seed):
        print(path)


if __name__ == "__main__":
    main()
