"""Ask a served policy about a picture, through the OpenAI client.

    python examples/serving/ask.py --image figure.png "How many red circles are there?"

The picture travels in the request, as base64. `vr1 generate` answers without a server; a batch belongs there.
"""

import argparse
import base64
import json
import mimetypes
import sys
from pathlib import Path
from typing import Any

from openai import OpenAI, OpenAIError

from vr1_ray.rewards import parse_response


def message(question: str, images: list[str]) -> dict[str, Any]:
    """The user's turn: pictures first, then the question, as in training."""
    content: list[dict[str, Any]] = []
    for path in images:
        kind = mimetypes.guess_type(path)[0] or "image/png"
        data = base64.b64encode(Path(path).read_bytes()).decode()
        content.append({"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}})
    return {"role": "user", "content": [*content, {"type": "text", "text": question}]}


def main() -> int:
    """Print thought, answer and why the response ended, as JSON; exit code 1 if the server can't be asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("question")
    parser.add_argument("--image", action="append", default=[], help="again for a second one")
    parser.add_argument("--url", default="http://127.0.0.1:8000/v1")
    parser.add_argument("--model", default="vision-r1", help="the server's --served-model-name")
    parser.add_argument("--api_key", default="none", help="if `vllm serve` has one")
    parser.add_argument("--max_tokens", type=int, default=4096)
    parser.add_argument("--temperature", type=float, default=0.6)
    parser.add_argument("--top_p", type=float, default=0.95)
    parser.add_argument("--timeout_seconds", type=float, default=600.0)
    given = parser.parse_args()
    client = OpenAI(
        base_url=given.url, api_key=given.api_key, timeout=given.timeout_seconds, max_retries=0
    )
    try:
        response = client.chat.completions.create(
            model=given.model,
            messages=[message(given.question, given.image)],
            max_tokens=given.max_tokens,
            temperature=given.temperature,
            top_p=given.top_p,
        )
    except OpenAIError as error:
        print(f"ask.py: {given.url}: {error}", file=sys.stderr)
        return 1
    choice = response.choices[0]
    text = choice.message.content or ""
    parsed = parse_response(text)
    found = {
        "thought": parsed.thought if parsed else None,
        "answer": parsed.answer if parsed else None,
        "response": text,
        "finish_reason": choice.finish_reason,
    }
    print(json.dumps(found, ensure_ascii=False, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
