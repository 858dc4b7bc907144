"""The three stages on rows, against the rehearsal's own servers over HTTP; no Ray."""

import asyncio
import hashlib
import io
import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from tests.unit.bridging.builders import row
from vr1_ray.bridging.asking import Asker
from vr1_ray.bridging.client import EndpointClient
from vr1_ray.bridging.prompts import fill, load_prompts
from vr1_ray.bridging.rows import Candidate, Outcome, outcome_from_json, to_json
from vr1_ray.bridging.stages import MODEL_OF, STAGES, Stage, select
from vr1_ray.bridging.store import ReplyStore
from vr1_ray.config import BridgeConfig, ConfigError, EndpointConfig
from vr1_ray.figure_math.dataset import encode_png
from vr1_ray.figure_math.drawing import RectangleFigure
from vr1_ray.figure_math.rehearsal_server import FigureServer

FIGURE = RectangleFigure(colour="red", width=2, height=3, left=0, top=0)


class LocalStore:
    """A ReplyStore as the stages ask it, without an actor."""

    def __init__(self, path):
        self.store = ReplyStore(str(path))

    async def get(self, keys):
        return self.store.get(keys)

    async def put(self, replies):
        self.store.put(replies)


@asynccontextmanager
async def serving(role, seed, ledger):
    """A figure server without connection faults, on a free port."""
    figures = {hashlib.sha256(encode_png(FIGURE)).hexdigest(): FIGURE}
    server = FigureServer(role, seed=seed, ledger=ledger, figures=figures, faults=False)
    runner = web.AppRunner(server.app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def bridge(rows, store, ledger, seed=0, **fields):
    """The outcomes of rows after all stages."""
    async with serving("mllm", seed, ledger) as mllm, serving("reasoner", seed, ledger) as reasoner:
        config = BridgeConfig(
            mllm=EndpointConfig(model="m", base_urls=[mllm]),
            reasoner=EndpointConfig(model="r", base_urls=[reasoner]),
            **fields,
        )
        outcomes = [Outcome(row=item) for item in rows]
        for name in STAGES:
            model = MODEL_OF[name]
            async with EndpointClient(getattr(config, model), name=model) as client:
                stage = Stage(name, config, seed=seed, asker=Asker(client, LocalStore(store)))
                outcomes = await asyncio.gather(*(stage.run(item) for item in outcomes))
        return outcomes


def figure_row(folder, index=0, **fields):
    item = row(folder, index, **fields)
    (folder / item.images[0]).write_bytes(encode_png(FIGURE))
    return item


def run(*arguments, **fields):
    return asyncio.run(asyncio.wait_for(bridge(*arguments, **fields), 120))


def test_a_row_goes_through_all_stages_and_asks_nothing_twice(tmp_path):
    ledger, store = io.StringIO(), tmp_path / "store.sqlite"
    [outcome] = run([figure_row(tmp_path)], store, ledger)
    assert "Rectangle: 2 wide, 3 high." in outcome.replies["description"][0].text
    assert len(outcome.candidates) == 1
    assert outcome_from_json(to_json(outcome)) == outcome
    assert len(ledger.getvalue().splitlines()) == 3
    [again] = run([figure_row(tmp_path)], store, ledger)
    assert len(ledger.getvalue().splitlines()) == 3
    assert again.candidates == outcome.candidates
    assert not any(reply.is_new for replies in again.replies.values() for reply in replies)


def test_a_bad_picture_fails_its_row_alone(tmp_path):
    good, bad, gone = (figure_row(tmp_path, index) for index in range(3))
    (tmp_path / "1.png").write_bytes(b"no picture")
    (tmp_path / "2.png").unlink()
    first, second, third = run([good, bad, gone], tmp_path / "store.sqlite", io.StringIO())
    assert not first.failed
    assert second.reason.startswith("unreadable_image: 1.png can't be decoded")
    assert third.reason.startswith("unreadable_image: '2.png' is no file")


def test_the_sources_own_pseudo_cot_costs_no_request(tmp_path):
    ledger = io.StringIO()
    own = figure_row(
        tmp_path, pseudo_cot="Caption: Rectangle: 2 wide, 3 high.\nReasoning: It is 2."
    )
    [outcome] = run([own], tmp_path / "store.sqlite", ledger, pseudo_cot="reuse")
    assert "pseudo_cot" not in outcome.replies
    assert len(ledger.getvalue().splitlines()) == 2


def test_candidates_are_asked_for_until_one_passes(tmp_path):
    rows = [figure_row(tmp_path, index) for index in range(30)]
    outcomes = run(
        rows, tmp_path / "store.sqlite", io.StringIO(), max_candidates=3, candidates_at_once=1
    )
    used = [len(outcome.candidates) for outcome in outcomes]
    assert max(used) > 1
    for outcome in outcomes:
        passed = [not candidate.dropped_by for candidate in outcome.candidates]
        assert not any(passed[:-1])
        assert outcome.kept == (len(passed) - 1 if passed[-1] else None)
        assert passed[-1] or len(passed) == 3


def test_the_reasoner_is_told_the_answer_only_if_it_may_know_it(tmp_path):
    with_answer, without = (load_prompts()[name] for name in ("reasoning_with_answer", "reasoning"))
    values = {"question": "How wide?", "description": "A figure.", "answer": "2"}
    assert "correct answer is 2" in fill(with_answer, values)
    assert "2" not in fill(without, values)


def test_a_value_never_fills_a_field_itself():
    assert fill("{question} {answer}", {"question": "{answer}?", "answer": "2"}) == "{answer}? 2"


def test_own_templates_replace_those_of_the_package(tmp_path):
    (tmp_path / "reasoning.txt").write_text("Think: {description} {question}")
    templates = load_prompts(str(tmp_path))
    assert templates["reasoning"] == "Think: {description} {question}"
    assert templates["description"] == load_prompts()["description"]
    (tmp_path / "reasoning.txt").write_text("{picture}")
    with pytest.raises(ConfigError, match=r"names \{picture\}, which is not known there"):
        load_prompts(str(tmp_path))


def test_selection_is_the_first_the_shortest_or_the_longest_that_passed():
    lengths = [30, 10, 20, 40]
    candidates = [
        Candidate(number=number, reply_id="", thought="x" * length, answer="2")
        for number, length in enumerate(lengths[:3])
    ]
    candidates.append(
        Candidate(number=3, reply_id="", thought="x" * 40, answer="3", dropped_by=("wrong_answer",))
    )
    assert [select(candidates, how) for how in ("first", "shortest", "longest")] == [0, 1, 0]
    assert select(candidates[3:], "first") is None


def test_the_ledger_tells_the_fault_and_the_reply_does_not(tmp_path):
    ledger = io.StringIO()
    rows = [figure_row(tmp_path, index) for index in range(40)]
    outcomes = run(rows, tmp_path / "store.sqlite", ledger)
    lines = [json.loads(line) for line in ledger.getvalue().splitlines()]
    faults = {line["fault"] for line in lines if "reasoner" in line["reply_id"]}
    assert "" in faults
    assert "wrong_answer" in faults
    for outcome in outcomes:
        for reply in (reply for replies in outcome.replies.values() for reply in replies):
            assert not any(fault in f"{reply.text} {reply.thought}" for fault in faults - {""})
