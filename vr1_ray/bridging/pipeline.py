"""The stages on Ray Data: blocks of rows stream through three pools of async actors, over one store.

    rows.jsonl -> pseudo_cot actors -> description actors -> reasoning actors -> the run, in any order
                        \\____________________|___________________/
                                        store actor

Ray Data holds back whoever is too fast, so memory stays flat whatever the number of rows. The only module of
`bridging/` that knows Ray.
"""

import asyncio
import logging
import queue
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import ray
from ray.data import ActorPoolStrategy, Dataset
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from vr1_ray.bridging.asking import Asker
from vr1_ray.bridging.client import EndpointClient
from vr1_ray.bridging.intake import Intake, block_lines
from vr1_ray.bridging.rows import Outcome, outcome_from_json, row_from_json, to_json
from vr1_ray.bridging.stages import MODEL_OF, STAGES, Stage
from vr1_ray.bridging.store import ReplyStore
from vr1_ray.config import BridgeConfig

_COLUMN = "row"
_CALL_SECONDS = 120.0  # of one call of the store
_CLOSE_SECONDS = 30.0
_ERROR_LINE = re.compile(
    r"^(?:\w+\.)*(?P<kind>\w*(?:Error|Exception)): (?P<what>.+)$", re.MULTILINE
)


class PipelineError(RuntimeError):
    """The pipeline stopped: a wrong setting, a lost actor, or nothing for too long. The cause comes first."""


class RemoteStore:
    """The store's actor as the `Store` that stages ask; every wait has a limit."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor

    async def get(self, keys: list[str]) -> dict[str, str]:
        return await asyncio.wait_for(self.actor.get.remote(keys), _CALL_SECONDS)

    async def put(self, replies: dict[str, str]) -> None:
        await asyncio.wait_for(self.actor.put.remote(replies), _CALL_SECONDS)


class StageActor:
    """One stage for blocks of rows; several blocks at once share its client's limits."""

    def __init__(self, name: str, config: BridgeConfig, seed: int, store: Any) -> None:
        model = MODEL_OF[name]
        endpoint = getattr(config, model)
        num_stages = sum(asked == model for asked in MODEL_OF.values())
        client = EndpointClient(endpoint, name=model, num_sharing=endpoint.num_actors * num_stages)
        self.stage = Stage(name, config, seed=seed, asker=Asker(client, RemoteStore(store)))

    async def __call__(self, block: pyarrow.Table) -> pyarrow.Table:
        rows = [outcome_from_json(text) for text in block[_COLUMN].to_pylist()]
        done = await asyncio.gather(*(self.stage.run(row) for row in rows))
        return _table([to_json(row) for row in done])


def run_pipeline(
    config: BridgeConfig, intake: Intake, *, seed: int, store_path: Path, timeout_seconds: float
) -> Iterator[Outcome]:
    """What becomes of each row, as it is known. Ray must be running.

    Raises PipelineError, also if no row comes for `timeout_seconds`.
    """
    here = ray.get_runtime_context().get_node_id()
    store: Any = (
        ray.remote(ReplyStore)
        .options(
            num_cpus=0.1,
            scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=False),
        )
        .remote(str(store_path.resolve()))
    )
    try:
        for table in _Blocks(_dataset(config, intake, seed, store), timeout_seconds):
            for text in table[_COLUMN].to_pylist():
                yield outcome_from_json(text)
    finally:
        _close(store)


def _close(store: Any) -> None:
    """Close the store's file, which brings its write-ahead log into it; a store that hangs or is gone is only ended."""
    try:
        ray.get(store.close.remote(), timeout=_CLOSE_SECONDS)
    except RayError as error:  # all replies are on disk all the same, in the log
        logging.getLogger(__name__).warning("the store was not closed: %s", error)
    ray.kill(store)


def _dataset(config: BridgeConfig, intake: Intake, seed: int, store: Any) -> Dataset:
    path, offsets, size = intake.path.resolve(), list(intake.offsets), config.rows_per_block

    def read(block: dict[str, Any]) -> pyarrow.Table:
        lines = [line for at in block["id"] for line in block_lines(path, offsets[int(at)], size)]
        return _table([to_json(Outcome(row=row_from_json(line))) for line in lines])

    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # the run has a progress line of its own
    dataset = ray.data.range(len(offsets), override_num_blocks=len(offsets)).map_batches(read)
    for name in STAGES:
        endpoint = getattr(config, MODEL_OF[name])
        # Enough blocks at once to keep all permitted requests open while a slow row holds a block back.
        blocks = 1 + 2 * endpoint.max_concurrent // (endpoint.num_actors * size)
        dataset = dataset.map_batches(
            StageActor,
            fn_constructor_args=(name, config, seed, store),
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=endpoint.num_cpus_per_actor,
            compute=ActorPoolStrategy(
                size=endpoint.num_actors,
                max_tasks_in_flight_per_actor=2 * blocks,
                max_concurrent_calls_per_actor=blocks,
            ),
        )
    return dataset


class _Blocks(threading.Thread):
    """The blocks of a dataset, fetched by a thread, so that a wait for the next one has a limit."""

    def __init__(self, dataset: Dataset, timeout_seconds: float) -> None:
        super().__init__(daemon=True, name="bridge-blocks")
        self._dataset, self._timeout_seconds = dataset, timeout_seconds
        self._results: queue.Queue[Any] = queue.Queue(maxsize=4)
        self._is_stopped = threading.Event()

    def run(self) -> None:
        try:
            batches = self._dataset.iter_batches(
                batch_size=None, batch_format="pyarrow", prefetch_batches=1
            )
            for table in batches:
                self._put(table)
                if self._is_stopped.is_set():
                    return
            self._put(None)
        except BaseException as error:  # handed to the waiting side, which raises it
            self._put(error)

    def _put(self, item: Any) -> None:
        while not self._is_stopped.is_set():
            try:
                self._results.put(item, timeout=0.5)
                return
            except queue.Full:
                continue  # the reader is slower: look whether it has stopped, and offer it again

    def __iter__(self) -> Iterator[pyarrow.Table]:
        self.start()
        try:
            while (item := self._next()) is not None:
                if isinstance(item, BaseException):
                    raise PipelineError(_cause_first(item)) from item
                yield item
        finally:
            self._is_stopped.set()

    def _next(self) -> Any:
        try:
            return self._results.get(timeout=self._timeout_seconds)
        except queue.Empty:
            raise PipelineError(
                f"no row came for {self._timeout_seconds:g} s (cluster.step_timeout_seconds): the endpoints hang, "
                "or the cluster has no room for the actors"
            ) from None


def _cause_first(error: BaseException) -> str:
    """What the user reads of a failed block: the error itself, not Ray's wrapping of it."""
    cause = error
    while _is_wrapping(cause):
        inner = getattr(cause, "cause", None) or cause.__cause__
        if not isinstance(inner, BaseException) or inner is cause:
            break
        cause = inner
    if not _is_wrapping(cause):
        return f"{cause} ({type(cause).__name__})"
    # What crossed processes has lost its cause; its traceback still shows it, before all that wraps it.
    shown = _ERROR_LINE.search(str(error))
    return f"{shown['what']} ({shown['kind']})" if shown else f"{cause} ({type(cause).__name__})"


def _is_wrapping(error: BaseException) -> bool:
    return isinstance(error, RayError) or type(error).__name__ == "UserCodeException"


def _table(texts: list[str]) -> pyarrow.Table:
    return pyarrow.table({_COLUMN: pyarrow.array(texts, type=pyarrow.string())})
