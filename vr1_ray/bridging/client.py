"""Asking a model behind OpenAI-compatible servers, through the `openai` package.

What may pass (no connection, too slow, 408, 409, 425, 429, 5xx, a reply that can't be read) is tried again with
back-off, at the next server if there are several; then the row has no reply (`NoReplyError`). What is the fault
of one request (400, 413, 422) ends at once for that row alone. Any other status is a wrong setting (401, 404
...) and ends the run (`EndpointError`). The key is read from the environment and shown nowhere.
"""

import asyncio
import inspect
import random
from collections.abc import Mapping
from typing import Any, Self

from vr1_ray.bridging.limits import RateLimit
from vr1_ray.bridging.rows import Reply
from vr1_ray.config import ConfigError, EndpointConfig
from vr1_ray.endpoints.endpoint import (
    EndpointUnavailableError,
    PassingError,
    check_url,
    read_key,
    status_error,
    without_key,
)

# What the pipeline sets itself; and headers, since a key among them would be written to config.yaml.
_OURS = {"model", "messages", "stream", "n", "seed", "timeout", "extra_headers"}


class NoReplyError(RuntimeError):
    """A request got no reply that can be used, and why: its row is dropped, the run goes on."""


class EndpointError(RuntimeError):
    """A setting of an endpoint is wrong: no request to it can succeed."""


class EndpointClient:
    """Asks one model, within limits. `num_sharing` clients in all keep them together.

    One that doesn't live as long as its process is closed, by `async with` or `close`: connections that only the
    garbage collector closes can take a new connection of the same event loop with them, which then waits for ever.

    Example:
        async with EndpointClient(EndpointConfig(model="qwen", base_urls=[url]), name="mllm") as client:
            reply = await client.ask([{"role": "user", "content": "Hello"}], seed=7)
    """

    def __init__(self, config: EndpointConfig, *, name: str, num_sharing: int = 1) -> None:
        import openai

        check_endpoint(config, name=name)
        self.config, self.name = config, name
        self.key = read_key(config.api_key_env)
        self.servers = [
            openai.AsyncOpenAI(
                api_key=self.key or "none",
                base_url=url,
                max_retries=0,
                timeout=config.timeout_seconds,
            )
            for url in config.base_urls
        ]
        for (
            server
        ) in self.servers:  # loads what `openai` leaves for the first call, which has a time limit
            _ = server.chat.completions.create
        share = 1 / num_sharing
        self.limit = RateLimit(config.requests_per_minute * share, config.tokens_per_minute * share)
        self.permits = asyncio.Semaphore(max(1, int(config.max_concurrent * share)))
        self._turn = random.randrange(len(self.servers))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections, in the event loop that opened them; nothing can be asked after that."""
        await asyncio.gather(*(server.close() for server in self.servers))

    async def ask(self, messages: Any, *, seed: int | None) -> Reply:
        """The reply to one request. Raises NoReplyError or EndpointError."""
        async with self.permits:
            reason = ""
            for attempt in range(self.config.max_attempts):
                await self.limit.wait()
                try:
                    return await asyncio.wait_for(
                        self._once(messages, seed), self.config.timeout_seconds
                    )
                except EndpointUnavailableError as error:
                    raise NoReplyError(f"{self.name}: refused: {error}") from None
                except PassingError as error:
                    reason, retry_after = str(error), error.retry_after
                except TimeoutError:
                    reason, retry_after = f"no answer in {self.config.timeout_seconds:g} s", 0.0
                if attempt + 1 < self.config.max_attempts:
                    backoff = self.config.backoff_seconds * 2**attempt * random.uniform(0.5, 1.0)
                    await asyncio.sleep(max(backoff, min(retry_after, self.config.timeout_seconds)))
        raise NoReplyError(
            f"{self.name}: gave up after {self.config.max_attempts} attempts: {reason}"
        )

    async def _once(self, messages: Any, seed: int | None) -> Reply:
        import openai

        self._turn = (self._turn + 1) % len(self.servers)
        server = self.servers[self._turn]
        request = dict(self.config.request) | ({} if seed is None else {"seed": seed})
        try:
            completion = await server.chat.completions.create(
                model=self.config.model, messages=messages, **request
            )
        except openai.APIStatusError as error:
            raise self._status_error(error, str(server.base_url)) from None
        except openai.APIConnectionError as error:
            raise PassingError(f"{type(error).__name__}: {error.__cause__ or error}") from None
        except (openai.APIError, ValueError) as error:
            raise PassingError(f"the reply can't be read ({type(error).__name__})") from None
        reply = read_completion(completion)
        self.limit.charge(reply.prompt_tokens + reply.completion_tokens)
        return reply

    def _status_error(self, error: Any, url: str) -> Exception:
        message = without_key(str(error), self.key)
        meant = status_error(error.status_code, error.response.headers, message)
        if isinstance(meant, PassingError | EndpointUnavailableError):
            return meant
        return EndpointError(
            f"bridge.{self.name}: {url} answers {error.status_code}: {message[:300]}; check base_urls, model "
            f"({self.config.model!r}) and api_key_env"
        )


def read_completion(completion: Any) -> Reply:
    """A chat completion as a Reply. Raises PassingError for what is none: servers send anything.

    The reasoning may come apart, as `reasoning_content` (DeepSeek) or `reasoning` (vLLM), or inside the text.
    """
    try:
        choice = completion.choices[0]
        message, finish_reason = choice.message, choice.finish_reason
    except (AttributeError, IndexError, KeyError, TypeError):
        raise PassingError("the reply is no chat completion") from None
    thought = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None)
    text = getattr(message, "content", None) or ""
    if not isinstance(text, str) or not (text.strip() or thought):
        raise PassingError("the reply is empty")
    usage = getattr(completion, "usage", None)
    return Reply(
        reply_id=str(completion.id or ""),
        text=text,
        thought=thought if isinstance(thought, str) else None,
        finish_reason=str(finish_reason or ""),
        prompt_tokens=int(getattr(usage, "prompt_tokens", 0) or 0),
        completion_tokens=int(getattr(usage, "completion_tokens", 0) or 0),
    )


def check_endpoint(config: EndpointConfig, *, name: str) -> None:
    """Raises ConfigError or ValueError for settings that can't be used, before anything is asked."""
    import openai

    field = f"bridge.{name}"
    if not config.model:
        raise ConfigError(f"{field}.model: empty; give the model's name as its server knows it")
    if not config.base_urls:
        raise ConfigError(f"{field}.base_urls: empty; list at least one address, or give a command")
    for url in config.base_urls:
        check_url(f"{field}.base_urls", url)
    read_key(config.api_key_env)
    for key, least in (("num_actors", 1), ("max_concurrent", 1), ("max_attempts", 1)):
        if getattr(config, key) < least:
            raise ConfigError(f"{field}.{key}: {getattr(config, key)} must be at least {least}")
    if config.timeout_seconds <= 0:
        raise ConfigError(f"{field}.timeout_seconds: {config.timeout_seconds} must be above 0")
    if taken := sorted(_OURS & set(config.request)):
        raise ConfigError(f"{field}.request: {', '.join(taken)} can't be set there; remove it")
    try:
        create: Mapping[str, Any] = {"model": "", "messages": [], **config.request}
        inspect.signature(openai.resources.chat.AsyncCompletions.create).bind(None, **create)
    except TypeError as error:
        raise ConfigError(
            f"{field}.request: {error}; put what is a server's own in extra_body"
        ) from error
