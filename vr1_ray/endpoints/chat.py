"""Asking a language model behind an OpenAI-compatible endpoint: one call, its errors sorted for `Endpoint`.

It knows neither rewards nor benchmarks: what is asked and how a reply is read is its callers' business.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from vr1_ray.endpoints.endpoint import (
    PassingError,
    check_url,
    read_key,
    status_error,
    without_key,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What a model said, whether it met its budget, and how many tokens the service counted (0: it doesn't say).

    Example:
        (await chat.reply(messages)).is_cut
    """

    text: str
    is_cut: bool
    num_tokens: int


class ChatModel:
    """One model at one address. Raises ValueError for an address, key variable or argument that can't be used.

    `request` has further arguments of every request, as temperature.

    Example:
        chat = ChatModel(model="judge", base_url="http://judge:8000/v1", api_key_env="", timeout_seconds=15)
        endpoint.call_all(lambda text: chat.complete([{"role": "user", "content": text}]), texts)
    """

    def __init__(
        self,
        *,
        model: str,
        base_url: str | None,
        api_key_env: str,
        timeout_seconds: float,
        request: dict[str, Any] | None = None,
    ) -> None:
        import openai

        if base_url is not None:
            check_url("base_url", base_url)
        self.model = model
        self.request = dict(request or {})
        self.key = read_key(api_key_env)
        self.client = openai.AsyncOpenAI(
            api_key=self.key or "none", base_url=base_url, max_retries=0, timeout=timeout_seconds
        )
        _check_request(self.client.chat.completions.create, self.request)

    async def complete(self, messages: Sequence[Any], **request: Any) -> str:
        """What the model says. Raises PassingError, EndpointUnavailableError, or RuntimeError for a wrong setting."""
        return (await self.reply(messages, **request)).text

    async def reply(self, messages: Sequence[Any], **request: Any) -> Reply:
        """What the model says, and how it ended. Raises as `complete` does."""
        import openai

        create: Any = self.client.chat.completions.create
        try:
            completion = await create(
                model=self.model, messages=list(messages), **self.request, **request
            )
        except openai.APIStatusError as error:
            message = without_key(str(error), self.key)
            raise status_error(error.status_code, error.response.headers, message) from None
        except openai.APIConnectionError as error:
            raise PassingError(f"{type(error).__name__}: {error.__cause__ or error}") from None
        except (openai.APIError, ValueError) as error:
            raise PassingError(f"the reply can't be read ({type(error).__name__})") from None
        return _reply_of(completion)


def _check_request(create: Callable[..., Any], request: dict[str, Any]) -> None:
    """Refuses arguments that the client's `create` doesn't know or that are set here."""
    if taken := {"model", "messages", "stream", "n"} & set(request):
        raise ValueError(f"request: {sorted(taken)} can't be set there; remove them.")
    try:
        inspect.signature(create).bind(model="", messages=[], **request)
    except TypeError as error:
        raise ValueError(
            f"request: {error}; put what is special to a server in extra_body."
        ) from error


def _reply_of(completion: Any) -> Reply:
    """What the model said. The client checks little of the reply, so anything may stand in its place."""
    try:
        text = completion.choices[0].message.content
        is_cut = completion.choices[0].finish_reason == "length"
    except (AttributeError, IndexError, KeyError, TypeError):
        text, is_cut = None, False
    if not isinstance(text, str):
        raise PassingError("the reply is no chat completion")
    tokens = getattr(getattr(completion, "usage", None), "completion_tokens", 0)
    return Reply(text=text, is_cut=is_cut, num_tokens=tokens if isinstance(tokens, int) else 0)
