"""`vr1 check CONFIG`: will it run, will it fit, how long will it take? One table; nothing of the run is started.

The machines are those of the Ray cluster that the run would join; else those of `cluster.assume`; else this
one. What can go wrong in a check is a row too: there is never a traceback.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from vr1_ray.actors.cluster_check import (
    NoClusterError,
    alive_nodes,
    ask_nodes,
    joined,
    reach_row,
)
from vr1_ray.bridging.checking import check_bridge, try_servers
from vr1_ray.commands.probe import probe_rows
from vr1_ray.config import RunConfig, recipe_runs
from vr1_ray.config.demand import num_gpus
from vr1_ray.evaluation import load_selections
from vr1_ray.evaluation.elsewhere import read_elsewhere
from vr1_ray.preflight.cold_start import run_ahead
from vr1_ray.preflight.input_rows import (
    MADE_EARLIER,
    Inputs,
    check_run_inputs,
    check_settings,
    is_here,
)
from vr1_ray.preflight.limits import Machine, assumed_machine
from vr1_ray.preflight.memory import GIB
from vr1_ray.preflight.model_size import ModelSize, UnknownModelError, read_model_size
from vr1_ray.preflight.node import NodeFacts, host_gib, node_facts, node_rows
from vr1_ray.preflight.plan import plan_rows
from vr1_ray.preflight.speed import gpu_speed, measure_core
from vr1_ray.preflight.step_time import time_rows
from vr1_ray.preflight.table import CheckRow, Status, is_sound, not_checked
from vr1_ray.rollout import check_engine
from vr1_ray.wording import counted


@dataclass(kw_only=True)
class Place:
    """Where the run would be, and what is known of it."""

    machine: Machine
    rows: list[CheckRow]
    is_assumed: bool = False


def run_check(config: RunConfig, *, is_probed: bool = False) -> list[CheckRow]:
    """All rows of a run, or of each step of a recipe. `is_probed` loads each policy that is there, and asks it."""
    runs = recipe_runs(config) if config.kind == "recipe" else [config]
    place = Place(machine=Machine(), rows=[])
    try:
        place = _place(config, runs)
    except Exception as error:  # a check that breaks must not hide the other rows
        place.rows.append(_broken("machines", error))
    found = list(place.rows)
    size: ModelSize | None = None
    for run in runs:
        size = _size_of(run) or size
        name = f"{run.name.removeprefix(config.name + '/')}: " if config.kind == "recipe" else ""
        ahead = run_ahead(runs, run)
        run_rows = _run_rows(run, config, place, size, ahead=ahead, is_probed=is_probed)
        found += [replace(row, name=f"{name}{row.name}") for row in run_rows]
    return found


def _run_rows(
    run: RunConfig,
    whole: RunConfig,
    place: Place,
    size: ModelSize | None,
    *,
    ahead: RunConfig | None = None,
    is_probed: bool = False,
) -> Iterator[CheckRow]:
    settings = check_settings(run)
    yield from settings
    if not is_sound(settings):
        for name in ("inputs", "plan", "time"):
            yield not_checked(name, "the settings come first; mend them, and check again")
        return
    if run.kind == "bridge":
        yield from bridge_rows(run)
        return
    if run.kind == "eval" and run.eval.is_elsewhere:
        yield from _elsewhere_rows(run)
        return
    inputs = Inputs(ahead=ahead)
    parts: dict[str, Callable[[], Iterable[CheckRow]]] = {
        "engine": lambda: _engine_rows(run),
        "inputs": lambda: check_run_inputs(run, inputs, absent=_absent(whole, place)),
        "plan": lambda: plan_rows(run, place.machine, size=size),
        "time": lambda: _time_rows(run, place.machine, size, inputs),
    }
    if is_probed:
        parts["blindness probe"] = lambda: probe_rows(run, inputs.prompts)
    for name, part in parts.items():
        try:
            yield from part()
        except Exception as error:  # as above
            yield _broken(name, error)


def _elsewhere_rows(run: RunConfig) -> Iterator[CheckRow]:
    """Of an evaluation that starts no engine: its benchmarks, and the file of responses if it has one."""
    try:
        for one in load_selections(run.benchmarks, run.eval):
            count = counted(len(one.questions), "question")
            if run.eval.responses:
                found = read_elsewhere(Path(run.eval.responses), one.benchmark.name, one.questions)
                count += f", {counted(len(found), 'response')}"
            yield CheckRow(name=one.name, value=count)
    except ValueError as error:
        yield _broken("benchmarks", error)


def _engine_rows(run: RunConfig) -> Iterator[CheckRow]:
    if run.kind in ("rl", "eval", "filter"):
        try:
            check_engine(run.rollout)
        except ValueError as error:
            yield CheckRow(name="engine", value="refused", status="bad", cure=str(error))


def _time_rows(
    run: RunConfig, machine: Machine, size: ModelSize | None, inputs: Inputs
) -> Iterator[CheckRow]:
    if size is None:
        if run.kind in ("sft", "rl", "eval"):
            by = "needs the model's config.json; `vr1 check` once model.path is there"
            yield not_checked("the run, about", by)
        return
    if num_gpus(run) == 0:  # timed by this machine's cores, whatever GPUs there are
        machine = replace(machine, speed=measure_core(size.text.hidden, size.text.intermediate))
    yield from time_rows(
        run,
        machine,
        size,
        prompt_tokens=inputs.prompt_tokens,
        num_demonstrations=inputs.num_demonstrations,
    )


def _broken(name: str, error: Exception) -> CheckRow:
    cure = f"{type(error).__name__}: {str(error).strip()[:400]}"
    return CheckRow(name=name, value="could not be checked", status="bad", cure=cure)


def bridge_rows(run: RunConfig) -> list[CheckRow]:
    """What a bridging run reads, and whether its servers answer."""
    found = Inputs()
    lines = found.attempt("bridge: inputs", lambda: check_bridge(run)) or []
    rows = [CheckRow(name=f"bridge: {number}", value=line) for number, line in enumerate(lines, 1)]
    for one in found.attempt("bridge: servers", lambda: list(try_servers(run.bridge))) or []:
        status: Status = "bad" if not one.is_sound else "warning" if one.cure else "ok"
        what = f"{one.url}: {one.found}" if one.url else one.found
        rows.append(CheckRow(name=one.name, value=what, status=status, cure=one.cure))
    return [*found.rows, *rows]


def _absent(whole: RunConfig, place: Place) -> Callable[[str], str | None]:
    """Why a path can't be read here yet: an earlier step makes it, or the machines are only assumed."""

    def why(path: str) -> str | None:
        if is_here(path):
            return None
        if whole.kind == "recipe" and path.startswith(str(whole.folder)):
            return MADE_EARLIER
        if place.is_assumed:
            runs = recipe_runs(whole) if whole.kind == "recipe" else [whole]
            is_model = path in {run.model.path for run in runs}
            return f"not on this machine, so not read; {_to_nodes(path, is_model=is_model)}"
        return None

    return why


def _to_nodes(path: str, *, is_model: bool) -> str:
    """How what a path or a hub name stands for comes to the nodes."""
    if not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", path):
        return "copy it to the nodes"
    kind = "" if is_model else "--repo-type dataset "
    return f"on the nodes: `hf download {kind}{path}`, or copy it there"


def _place(config: RunConfig, runs: list[RunConfig]) -> Place:
    """The machines: of the cluster, or assumed, or this one."""
    address = config.cluster.address or os.environ.get("RAY_ADDRESS") or "local"
    assume = config.cluster.assume
    if address == "local" and assume is None:
        return _this_machine(config, runs)
    if address != "local":
        try:
            with joined(address):
                return _cluster(config, runs)
        except NoClusterError as error:
            if assume is None:
                cure = f"{error}; start Ray, or describe the machines in cluster.assume"
                row = CheckRow(name="cluster", value=address, status="bad", cure=cure)
                nodes = not_checked("packages", "needs the cluster; start it, and check again")
                return Place(machine=Machine(), rows=[row, nodes])
    assert assume is not None
    machine = assumed_machine(assume)
    what = f"{counted(machine.num_nodes, 'node')} of {counted(machine.gpus_per_node, 'GPU')} of {machine.gpu_gib:g} GiB"
    rows = [
        CheckRow(name="machines", value=f"assumed: {what}"),
        not_checked(
            "packages", "`vr1 check` on the machines, without cluster.assume, looks at them"
        ),
    ]
    return Place(machine=machine, rows=rows, is_assumed=True)


def _this_machine(config: RunConfig, runs: list[RunConfig]) -> Place:
    facts = node_facts(config.runs_folder, [])
    rows = list(_node_rows([facts], runs))
    return Place(machine=_machine([facts], num_gpus=len(facts.gpus)), rows=rows)


def _data_paths(runs: list[RunConfig]) -> set[str]:
    """Files and folders that pictures are read from; nodes that do not see them are sent the bytes."""
    paths = {
        path
        for run in runs
        for path in (run.data.train, *run.data.demonstrations, run.eval.data, run.data.image_root)
    }
    return {os.path.abspath(path) for path in paths if is_here(path)}


def _cluster(config: RunConfig, runs: list[RunConfig]) -> Place:
    models = {os.path.abspath(run.model.path) for run in runs if is_here(run.model.path)}
    paths = sorted(models | _data_paths(runs))
    facts = ask_nodes(os.path.abspath(config.runs_folder), paths)
    rows = [CheckRow(name="cluster", value=f"joined, {counted(len(facts), 'node')}")]
    rows += _node_rows(facts, runs)
    trainers = max(
        (run.trainer.num_workers for run in runs if run.kind in ("sft", "rl")), default=0
    )
    reached = reach_row(trainers)
    if reached is not None:
        rows.append(reached)
    gpus = int(sum(node["Resources"].get("GPU", 0) for node in alive_nodes()))
    return Place(machine=_machine(facts, num_gpus=gpus), rows=rows)


def _node_rows(facts: list[NodeFacts], runs: list[RunConfig]) -> Iterator[CheckRow]:
    sampling = [run for run in runs if run.kind in ("rl", "eval", "filter")]
    return node_rows(
        facts,
        needs_vllm=any(run.rollout.engine == "vllm" for run in sampling),
        needs_gpus=any(num_gpus(run) > 0 for run in runs),
        data_paths=_data_paths(runs),
    )


def _machine(facts: list[NodeFacts], *, num_gpus: int) -> Machine:
    gpus = [gpu for node in facts for gpu in node.gpus]
    known = Machine(
        num_gpus=num_gpus,
        num_nodes=len(facts),
        cpus_per_node=min(node.cpus for node in facts),
        host_gib=host_gib(facts),
        free_disk_gib=facts[0].free_disk / GIB,
    )
    if not gpus:
        return known
    return replace(
        known,
        gpu_gib=min(total for _, _, total in gpus) / GIB,
        gpus_per_node=max(1, min(len(node.gpus) for node in facts if node.gpus)),
        speed=gpu_speed(gpus[0][0]),
    )


def _size_of(run: RunConfig) -> ModelSize | None:
    try:
        return read_model_size(run.model.path)
    except UnknownModelError:
        return None
