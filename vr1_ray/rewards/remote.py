"""A reward computed by a service of your own, over HTTP: all rollouts of a prompt in one POST.

    - {name: remote, weight: 1.0, options: {url: "http://scorer:9000/score"}}

The request is JSON, the reply's `outputs` has one entry per input, in the same order; `null` says that there
is no reward for that one, and makes its rollout invalid:

    {"inputs": [{"prompt_id": "9f0c", "index": 0, "question": "<image>How many?", "answer": "3",
                 "metadata": {"family": "count"}, "response": "<think> ...", "num_tokens": 57,
                 "finish_reason": "finished", "step": 12, "images": ["5e1d..."],
                 "stage": {"number": 1, "max_response_tokens": 96, "group_size": 16, "steps": 45}}],
     "images": {"5e1d...": "iVBORw0KGgo..."}}

    {"outputs": [{"value": 0.5, "parts": {"style": 0.5}}]}

`images` maps content hashes to the base64 of the encoded files; it is empty unless `send_images`. A reply of
another form or size is tried again like a failed call, and never guessed at. Redirects are not followed.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from vr1_ray.endpoints.endpoint import (
    Endpoint,
    EndpointUnavailableError,
    PassingError,
    check_url,
    read_key,
    status_error,
    without_key,
)
from vr1_ray.rewards.base import Reward, RewardOutcome, RewardUnavailableError
from vr1_ray.types import RewardInput, RewardOutput

MAX_REPLY_BYTES = 16 * 2**20


class RemoteReward(Reward):
    """What a service says. With `api_key_env` the key in that variable is sent as a bearer token.

    Raises ValueError for options that can't be used.

    Example:
        RemoteReward(url="http://scorer:9000/score", send_images=True, timeout_seconds=5)
    """

    def __init__(
        self,
        url: str,
        api_key_env: str = "",
        send_images: bool = False,
        timeout_seconds: float = 15.0,
        max_attempts: int = 3,
        backoff_seconds: float = 0.5,
    ) -> None:
        check_url("url", url)
        self.url = url
        self.send_images = send_images
        self.key = read_key(api_key_env)
        self.endpoint = Endpoint(
            timeout_seconds=timeout_seconds,
            max_attempts=max_attempts,
            backoff_seconds=backoff_seconds,
        )

    def score_batch(self, reward_inputs: Sequence[RewardInput]) -> list[RewardOutcome]:
        [outcomes] = self.endpoint.call_all(self._post, [reward_inputs])
        if isinstance(outcomes, EndpointUnavailableError):
            return [RewardUnavailableError(str(outcomes))] * len(reward_inputs)
        return outcomes

    async def _post(self, reward_inputs: Sequence[RewardInput]) -> list[RewardOutcome]:
        import aiohttp

        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        limit = aiohttp.ClientTimeout(total=self.endpoint.timeout_seconds)
        body = json.dumps(to_json(reward_inputs, self.send_images)).encode()
        try:
            async with (
                aiohttp.ClientSession(timeout=limit) as session,
                session.post(
                    self.url, data=body, headers=headers, allow_redirects=False
                ) as response,
            ):
                reply = await _read(response.content)
        except (aiohttp.ClientError, OSError) as error:
            raise PassingError(f"{type(error).__name__}: {error}") from None
        if response.status != 200:
            text = without_key(reply.decode(errors="replace"), self.key)
            raise status_error(response.status, response.headers, text)
        return read_outputs(reply, len(reward_inputs))


async def _read(stream: Any) -> bytes:
    reply = bytearray()
    async for chunk in stream.iter_any():
        reply += chunk
        if len(reply) > MAX_REPLY_BYTES:
            raise PassingError(f"the reply is longer than {MAX_REPLY_BYTES} bytes")
    return bytes(reply)


def to_json(reward_inputs: Sequence[RewardInput], send_images: bool) -> dict[str, Any]:
    """The body of a request, each different image in it once."""
    images = {
        image.content_hash: base64.b64encode(image.as_shown().data).decode()
        for reward_input in reward_inputs
        for image in reward_input.prompt.images
        if send_images
    }
    return {"inputs": [_input_to_json(item) for item in reward_inputs], "images": images}


def _input_to_json(reward_input: RewardInput) -> dict[str, Any]:
    return {
        "prompt_id": reward_input.prompt.prompt_id,
        "index": reward_input.rollout.index,
        "question": reward_input.question,
        "answer": reward_input.answer,
        "metadata": reward_input.metadata,
        "response": reward_input.response,
        "num_tokens": reward_input.num_tokens,
        "finish_reason": reward_input.finish_reason,
        "step": reward_input.step,
        "stage": asdict(reward_input.stage),
        "images": [image.content_hash for image in reward_input.prompt.images],
    }


def read_outputs(reply: bytes, num_inputs: int) -> list[RewardOutcome]:
    """The outcomes in a reply. Raises PassingError if it isn't exactly of the form above."""
    try:
        outputs = json.loads(reply)["outputs"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise PassingError(f"the reply has no `outputs` ({type(error).__name__})") from None
    if not isinstance(outputs, list) or len(outputs) != num_inputs:
        found = len(outputs) if isinstance(outputs, list) else type(outputs).__name__
        raise PassingError(f"the reply's outputs: {found}, for {num_inputs} inputs")
    return [_read_output(output) for output in outputs]


def _read_output(output: Any) -> RewardOutcome:
    if output is None:
        return RewardUnavailableError("the service gave null: no reward for this rollout")
    parts = output.get("parts", {}) if isinstance(output, dict) else None
    if not isinstance(parts, dict) or not all(
        map(_is_number, [output.get("value"), *parts.values()])
    ):
        raise PassingError(f"{output!r:.200} is no output; expected value and parts as numbers")
    return RewardOutput(
        value=float(output["value"]), parts={part: float(number) for part, number in parts.items()}
    )


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300  # so that NaN and huge integers fail
