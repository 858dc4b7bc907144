"""A policy to ask from Python: one engine, kept between questions. `vr1_ray.Policy`; many at once: `vr1 generate`."""

import asyncio
import io
from collections.abc import Coroutine, Sequence
from concurrent.futures import TimeoutError as NoAnswerError
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

from vr1_ray.commands.generate import (
    DEFAULT_MAX_TOKENS,
    model_settings,
    response_row,
    sample_prompt,
    with_room,
)
from vr1_ray.config import ModelConfig
from vr1_ray.config.generate import GenerateConfig, check_settings, sections
from vr1_ray.data.questions import one_question
from vr1_ray.models import load_adapter
from vr1_ray.rollout import rollout_engine_class

MAX_PROMPT_TOKENS = 4096  # of a question, where the model has room for so many


class Policy:
    """Answers questions about pictures, each as a row of `vr1 generate`. Its engine is loaded when it is made.

    `path` is a model folder or hub name. With engine "hf", plain transformers, it is ready in seconds; "vllm" takes
    half a minute and is fast on a GPU. `max_tokens` 0 is 4096, or what the model has room for. `settings` are
    `model.KEY=value`, `rollout.KEY=value` or `data.KEY=value`. Raises ValueError, RuntimeError if the engine fails.

    Example:
        with Policy("runs/quickstart/rl/policy") as policy:
            row = policy.ask("How many red circles are there?", "figure.png")
            row["thought"], row["answer"], row["response"]
    """

    def __init__(
        self,
        path: str | Path,
        *,
        engine: str = "hf",
        max_tokens: int = 0,
        temperature: float = 0.6,
        top_p: float = 0.95,
        seed: int = 0,
        timeout_seconds: float = 600.0,
        settings: Sequence[str] = (),
    ) -> None:
        model, rollout, data = sections(list(settings), engine=engine, has_rows=False)
        config = GenerateConfig(
            policy=str(path),
            question="?",  # each call has its own
            max_response_tokens=max_tokens,
            temperature=temperature,
            top_p=top_p,
            seed=seed,
            timeout_seconds=timeout_seconds,
            model=model,
            rollout=rollout,
            data=data,
        )
        check_settings(config)
        model = model_settings(config)
        self._adapter = load_adapter(model)
        if model.max_model_len == ModelConfig().max_model_len:
            wanted = MAX_PROMPT_TOKENS + (max_tokens or DEFAULT_MAX_TOKENS)
            model = replace(model, max_model_len=min(wanted, self._adapter.max_positions))
        self._config = replace(config, model=model)
        self._loop = asyncio.new_event_loop()  # a notebook's own is busy running the cell
        self._thread = Thread(target=self._loop.run_forever, name="policy", daemon=True)
        self._thread.start()
        self._engine = rollout_engine_class(rollout.engine)(
            model=model, rollout=rollout, adapter=self._adapter
        )
        try:
            self._wait(self._engine.start(), "starting the engine")
        except BaseException:
            self.close()
            raise

    def ask(
        self, question: str, images: Any = (), *, answer: str = "", seed: int | None = None
    ) -> dict[str, Any]:
        """One response, as a row of `vr1 generate`: question, thought, answer, response, finish_reason, ...

        `images` is one picture or a list: a path, a PIL image, bytes, or a cell of a data set. With the reference
        `answer` the row says whether it is `correct`. Another `seed` gives another response.
        Raises ValueError for what can't be asked, RuntimeError if no response ends in time.
        """
        several = images if isinstance(images, list | tuple) else [images]
        cells = [_cell(image) for image in several]
        prompt = one_question(cells, question, self._config.data, names=("images", "question"))
        prompt = replace(prompt, answer=str(answer))
        config = replace(self._config, question=question)
        config = config if seed is None else replace(config, seed=seed)
        check_settings(config)
        config = with_room(config, self._adapter, [prompt])
        sampling = sample_prompt(self._engine, config, self._adapter, prompt)
        [sample] = self._wait(sampling, "waiting for a response")
        return response_row(prompt, 0, 0, sample, self._adapter)

    def close(self) -> None:
        """Stop the engine. May be called twice."""
        if self._loop.is_closed():
            return
        try:
            self._wait(self._engine.close(), "closing the engine")
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(self._config.timeout_seconds)
            if not self._thread.is_alive():
                self._loop.close()

    def __enter__(self) -> "Policy":
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def _wait(self, work: Coroutine[Any, Any, Any], what: str) -> Any:
        if self._loop.is_closed():
            work.close()
            raise ValueError("this policy is closed; make another one")
        found = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return found.result(self._config.timeout_seconds)
        except NoAnswerError as error:
            if found.done():  # an error of the engine's own
                raise
            found.cancel()
            raise RuntimeError(
                f"{what} took over {self._config.timeout_seconds:g} s; raise timeout_seconds or lower max_tokens"
            ) from error


def _cell(image: Any) -> Any:
    """A picture as `one_question` takes it: a path as text, a PIL image as the bytes of a PNG."""
    if isinstance(image, Path):
        return str(image)
    if hasattr(image, "save") and hasattr(image, "getpixel"):
        buffer = io.BytesIO()
        image.save(buffer, format="PNG")
        return buffer.getvalue()
    return image
