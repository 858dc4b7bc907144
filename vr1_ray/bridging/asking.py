"""Requests of the pipeline: made from a row, answered by the store if they were asked before, else by the model."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from vr1_ray.bridging.client import EndpointClient
from vr1_ray.bridging.rows import IMAGE_ROOT, BridgeRow, Reply
from vr1_ray.bridging.store import request_key
from vr1_ray.data.images import check_image
from vr1_ray.data.picture_cells import read_inside
from vr1_ray.rewards.llm_judge import data_url
from vr1_ray.types import EncodedImage

_GROUP_SECONDS = 0.005  # calls of the store within this time go as one


class Store(Protocol):
    """A ReplyStore, here or behind an actor."""

    async def get(self, keys: list[str]) -> dict[str, str]: ...

    async def put(self, replies: dict[str, str]) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What is asked: a text and its images. `number` tells candidates of one question apart.

    Example:
        Request(text="How many circles?", images=(image,), seed=7, number=0)
    """

    text: str
    images: tuple[EncodedImage, ...] = ()
    seed: int | None = None
    number: int = 0

    def messages(self) -> list[dict[str, Any]]:
        """The request as chat messages, images before the text."""
        if not self.images:
            return [{"role": "user", "content": self.text}]
        content: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": data_url(image)}} for image in self.images
        ]
        return [{"role": "user", "content": [*content, {"type": "text", "text": self.text}]}]


def open_images(row: BridgeRow, max_pixels: int) -> tuple[EncodedImage, ...]:
    """The row's pictures, read and checked. Raises DataError."""
    images = []
    for path in row.images:
        data = read_inside(Path(row.image_root), path, IMAGE_ROOT)
        check_image(data, name=path, max_pixels=max_pixels)
        images.append(EncodedImage.from_bytes(data))
    return tuple(images)


class Asker:
    """Asks one model, and never twice the same.

    Example:
        reply = await Asker(client, store).ask(Request(text="How many circles?", seed=7))
    """

    def __init__(self, client: EndpointClient, store: Store) -> None:
        self.client = client
        self._get = _Grouped(lambda keys: store.get(list(keys)))
        self._put = _Grouped(store.put)
        self._open: dict[str, asyncio.Task[Reply]] = {}

    async def ask(self, request: Request) -> Reply:
        """The reply, kept or new. Raises NoReplyError or EndpointError."""
        key = self._key(request)
        task = self._open.get(key)
        if task is None:
            task = self._open[key] = asyncio.ensure_future(self._ask(key, request))
            task.add_done_callback(lambda _: self._open.pop(key, None))
            return await task
        return replace(await task, is_new=False)

    async def _ask(self, key: str, request: Request) -> Reply:
        kept = (await self._get(key, "")).get(key)
        if kept is not None:
            return Reply(**json.loads(kept), is_new=False)
        reply = await self.client.ask(request.messages(), seed=request.seed)
        fields = asdict(reply)
        del fields["is_new"]
        await self._put(key, json.dumps(fields))
        return reply

    def _key(self, request: Request) -> str:
        return request_key(
            {
                "model": self.client.config.model,
                "request": dict(self.client.config.request),
                "text": request.text,
                "images": [image.content_hash for image in request.images],
                "seed": request.seed,
                "number": request.number,
            }
        )


class _Grouped:
    """Calls with one key each, sent as one call with many: the store answers many as fast as one."""

    def __init__(self, call: Callable[[dict[str, str]], Awaitable[Any]]) -> None:
        self._call = call
        self._waiting: dict[str, str] = {}
        self._next: asyncio.Task[Any] | None = None

    async def __call__(self, key: str, value: str) -> Any:
        self._waiting[key] = value
        if self._next is None:
            self._next = asyncio.ensure_future(self._send())
        return await self._next

    async def _send(self) -> Any:
        await asyncio.sleep(_GROUP_SECONDS)
        group, self._waiting, self._next = self._waiting, {}, None
        return await self._call(group)
