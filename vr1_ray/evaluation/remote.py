"""A policy behind an OpenAI-compatible endpoint, asked a benchmark's questions in place of engines of our own.

Limits and retries are the judge's. Each response is kept as it comes; a question that got none is asked again by the
same command, and if more than `eval.policy.max_missing` have none there is no score.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from vr1_ray.config import ConfigError, RunConfig
from vr1_ray.endpoints.chat import ChatModel, Reply
from vr1_ray.endpoints.endpoint import Endpoint, EndpointUnavailableError
from vr1_ray.evaluation import paper
from vr1_ray.evaluation.base import Question
from vr1_ray.evaluation.responses import Response
from vr1_ray.report.frame import data_url
from vr1_ray.types import Prompt

_MARK = re.compile(r"(?<!\\)<image>")


class RemotePolicyError(EndpointUnavailableError):
    """Too many questions got no response: a score would not be honest."""


class RemotePolicy:
    """Asks questions of `eval.policy`, some at once. Raises ConfigError for settings that can't be used.

    Example:
        policy = RemotePolicy(config, max_tokens=4096)
        for responses in policy.ask(questions): file.append(responses)
    """

    def __init__(self, config: RunConfig, *, max_tokens: int) -> None:
        self.config, settings = config, config.eval.policy
        self.last_failure = ""
        is_paper = config.eval.protocol == "paper"
        self.max_asked = paper.MAX_ASKED if is_paper else 1
        sampling: dict[str, Any] = {
            "temperature": config.eval.temperature,
            "top_p": config.eval.top_p,
            "max_tokens": max_tokens,
        }
        try:
            self.chat = ChatModel(
                model=settings.model,
                base_url=settings.base_url,
                api_key_env=settings.api_key_env,
                timeout_seconds=settings.timeout_seconds,
                request=sampling,
            )
            self.endpoint = Endpoint(
                timeout_seconds=settings.timeout_seconds * self.max_asked,
                max_attempts=settings.max_attempts,
                backoff_seconds=settings.backoff_seconds,
                max_concurrent=settings.max_concurrent,
            )
        except ValueError as error:
            raise ConfigError(f"eval.policy.{error}") from error

    def ask(self, questions: Sequence[Question]) -> Iterator[list[Response]]:
        """All samples of each question, as a wave of questions is answered; nothing for one that got no response."""
        samples = self.config.eval.num_samples
        size = max(1, 2 * self.config.eval.policy.max_concurrent // samples)
        for start in range(0, len(questions), size):
            wave = questions[start : start + size]
            prompts = [question.prompt for question in wave for _ in range(samples)]
            replies = self.endpoint.call_all(self._ask, prompts)
            for place, question in enumerate(wave):
                own = replies[place * samples : (place + 1) * samples]
                kept = [
                    _response(question, sample, found)
                    for sample, found in enumerate(own)
                    if not isinstance(found, EndpointUnavailableError)
                ]
                failures = [str(one) for one in own if isinstance(one, EndpointUnavailableError)]
                if failures:
                    self.last_failure = failures[-1]
                else:
                    yield kept

    def check_missing(self, num_missing: int, num_questions: int) -> None:
        """Raises RemotePolicyError if more questions have no response than `max_missing` allows."""
        settings = self.config.eval.policy
        if num_missing > settings.max_missing * num_questions:
            raise RemotePolicyError(
                f"eval.policy: {num_missing} of {num_questions} questions got no response, more than "
                f"eval.policy.max_missing {settings.max_missing:g} ({self.last_failure}); what came is kept: mend the "
                "endpoint and run the same command again"
            )

    async def _ask(self, prompt: Prompt) -> tuple[Reply, int]:
        reply, asked = await self.chat.reply(self._messages(prompt)), 1
        while asked < self.max_asked and paper.wants_another(reply.text):
            reply, asked = await self.chat.reply(self._messages(prompt)), asked + 1
        return reply, asked

    def _messages(self, prompt: Prompt) -> list[dict[str, Any]]:
        """Images where their marks stand in the text, the system prompt of `model` before."""
        parts: list[dict[str, Any]] = []
        images = iter(prompt.images)
        for place, text in enumerate(_MARK.split(prompt.question)):
            if place:
                url = data_url(next(images).as_shown().data)
                parts.append({"type": "image_url", "image_url": {"url": url}})
            if text.strip():
                parts.append({"type": "text", "text": text.replace("\\<image>", "<image>")})
        system = self.config.model.system_prompt
        before = [{"role": "system", "content": system}] if system else []
        return [*before, {"role": "user", "content": parts}]


def _response(question: Question, sample: int, found: tuple[Reply, int]) -> Response:
    reply, times_asked = found
    return Response(
        question_id=question.question_id,
        sample=sample,
        response=reply.text,
        tokens=reply.num_tokens,
        is_cut=reply.is_cut,
        times_asked=times_asked,
    )
