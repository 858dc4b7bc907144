"""The three stages of modality bridging, each a step of one row; no Ray here (Vision-R1, section 3.3.1).

    pseudo_cot    image, question, answer       -> MLLM      caption and reasoning (or the source's own)
    description   image, question, pseudo-CoT   -> MLLM      a description with all that the question needs
    reasoning     description, question(, answer) -> reasoner  chains of thought; the rules judge them

A row whose stage has no result goes on as failed, with the reason, and no later stage touches it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from vr1_ray.bridging.asking import Asker, Request, open_images
from vr1_ray.bridging.client import NoReplyError
from vr1_ray.bridging.prompts import fill, load_prompts
from vr1_ray.bridging.rows import Candidate, Outcome, Reply
from vr1_ray.bridging.rules import RuleBook, load_rules
from vr1_ray.config import BridgeConfig
from vr1_ray.data.refusals import DataError
from vr1_ray.types import sample_seed

PSEUDO_COT, DESCRIPTION, REASONING = STAGES = ("pseudo_cot", "description", "reasoning")
MODEL_OF = {PSEUDO_COT: "mllm", DESCRIPTION: "mllm", REASONING: "reasoner"}


class Stage:
    """One stage, for any row.

    Example:
        outcome = await Stage("description", config, seed=0, asker=asker).run(outcome)
    """

    def __init__(self, name: str, config: BridgeConfig, *, seed: int, asker: Asker) -> None:
        self.name, self.config, self.seed, self.asker = name, config, seed, asker
        self.templates = load_prompts(config.prompts)
        self.rules: RuleBook = load_rules(config.rules)
        step: dict[str, Callable[[Outcome], Awaitable[Outcome]]] = {
            PSEUDO_COT: self._pseudo_cot,
            DESCRIPTION: self._description,
            REASONING: self._reasoning,
        }
        self._step = step[name]
        self._sends_seed = getattr(config, MODEL_OF[name]).send_seed

    async def run(self, outcome: Outcome) -> Outcome:
        """The row with this stage's result, or failed. Raises EndpointError for a wrong setting."""
        if outcome.failed:
            return outcome
        try:
            return await self._step(outcome)
        except NoReplyError as error:
            return self._fail(outcome, f"{self.name}_failed: {error}")
        except DataError as error:
            return self._fail(outcome, f"unreadable_image: {error}")

    def _fail(self, outcome: Outcome, reason: str) -> Outcome:
        return replace(outcome, failed=reason, failed_at=self.name)

    async def _pseudo_cot(self, outcome: Outcome) -> Outcome:
        if self.config.pseudo_cot == "reuse" and outcome.row.pseudo_cot:
            return outcome
        return await self._see(outcome, "pseudo_cot", {"answer": outcome.row.answer})

    async def _description(self, outcome: Outcome) -> Outcome:
        own = outcome.replies.get(PSEUDO_COT)
        pseudo_cot = _said(own[0]) if own else outcome.row.pseudo_cot
        values = {"pseudo_cot": pseudo_cot, "answer": outcome.row.answer}
        return await self._see(outcome, "description", values)

    async def _see(self, outcome: Outcome, template: str, values: dict[str, str]) -> Outcome:
        """Ask the model that sees the image, once."""
        images = open_images(outcome.row, self.config.max_image_pixels)
        text = fill(self.templates[template], {"question": outcome.row.text, **values})
        reply = await self.asker.ask(
            Request(text=text, images=images, seed=self._seed_of(outcome, 0))
        )
        outcome = replace(outcome, replies={**outcome.replies, self.name: [reply]})
        if reply.finish_reason == "length":
            return replace(outcome, failed=f"{self.name}_cut: at {reply.completion_tokens} tokens")
        return outcome

    async def _reasoning(self, outcome: Outcome) -> Outcome:
        """Rounds of candidates, until one passes the rules or `max_candidates` are used up."""
        row, with_answer = outcome.row, self.config.reasoner_sees_answer
        template = self.templates["reasoning_with_answer" if with_answer else "reasoning"]
        description = _said(outcome.replies[DESCRIPTION][0])
        text = fill(
            template, {"question": row.text, "description": description, "answer": row.answer}
        )
        replies: list[Reply] = []
        candidates: list[Candidate] = []
        while len(candidates) < self.config.max_candidates:
            first = len(candidates)
            last = min(first + self.config.candidates_at_once, self.config.max_candidates)
            requests = [
                Request(text=text, seed=self._seed_of(outcome, number), number=number)
                for number in range(first, last)
            ]
            # Those that came are kept in the store, also when another one of the round fails.
            asked = await asyncio.gather(
                *(self.asker.ask(request) for request in requests), return_exceptions=True
            )
            for error in asked:
                if isinstance(error, BaseException):
                    raise error
            new = [reply for reply in asked if isinstance(reply, Reply)]
            replies += new
            candidates += [
                self.rules.judge(reply, number=first + place, question=row.text, answer=row.answer)
                for place, reply in enumerate(new)
            ]
            if any(not candidate.dropped_by for candidate in candidates):
                break
        return replace(
            outcome,
            replies={**outcome.replies, REASONING: replies},
            candidates=tuple(candidates),
            kept=select(candidates, self.config.select),
        )

    def _seed_of(self, outcome: Outcome, number: int) -> int | None:
        if not self._sends_seed:
            return None
        return sample_seed(
            run_seed=self.seed, step=0, prompt_id=outcome.row.row_id, index=number, attempt=0
        )


def select(candidates: list[Candidate], how: str) -> int | None:
    """The number of the candidate to take among those that passed: the first, shortest or longest; None if none did."""
    passed = [item for item in candidates if not item.dropped_by]
    if not passed:
        return None
    if how == "first":
        return passed[0].number
    return (min if how == "shortest" else max)(passed, key=lambda item: len(item.thought)).number


def _said(reply: Reply) -> str:
    """What a reply says, without the thought of a model that thinks first."""
    return reply.text.rpartition("</think>")[2].strip()
