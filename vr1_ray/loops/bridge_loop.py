"""Building cold-start data by modality bridging (`kind: bridge`). `vr1 bridge CONFIG`.

runs/NAME/  rows.jsonl  bad_rows.jsonl   what the sources held
            store.sqlite                 every reply; a run that was stopped, or has other rules, asks nothing twice
            outcomes.jsonl               what became of each row: replies, chains, rules
            dropped.jsonl                the rows without a chain, with the reason
            dataset/                     the demonstrations and their data card
            summary.json  result.json
"""

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from vr1_ray.actors.cluster import connect
from vr1_ray.bridging.audit import audit, read_ledger
from vr1_ray.bridging.card import write_card
from vr1_ray.bridging.checking import check_bridge
from vr1_ray.bridging.intake import Intake, take_in
from vr1_ray.bridging.output import DatasetWriter, OutcomeLog
from vr1_ray.bridging.pipeline import run_pipeline
from vr1_ray.bridging.progress import Progress
from vr1_ray.bridging.rows import Outcome, outcome_from_json, to_json
from vr1_ray.bridging.rules import load_rules
from vr1_ray.bridging.servers import Servers
from vr1_ray.bridging.tally import Tally
from vr1_ray.config import BridgeConfig, BridgeSourceConfig, RunConfig
from vr1_ray.figure_math.dataset import write_split
from vr1_ray.runs.figures import shown
from vr1_ray.runs.lock import look
from vr1_ray.runs.run_folder import RESULT, STARTS, keep_config, write_json, write_result
from vr1_ray.runs.run_state import begin, now_running
from vr1_ray.runs.stopping import StopSignal
from vr1_ray.tracking.privacy import as_folder, private_folder
from vr1_ray.wording import counted

STORE, DATASET = "store.sqlite", "dataset"
FORM = "{:.4f}"
_LEFTOVERS = (STORE, f"{STORE}-wal", f"{STORE}-shm", "logs", DATASET, STARTS)


def run_bridge(config: RunConfig, stop: StopSignal) -> dict[str, Any]:
    """Build the dataset; returns the result. What was asked before is not asked again.

    Raises ConfigError, DataError or ValueError for bad input before anything is asked, ServerError,
    PipelineError, Stopped after a SIGTERM.
    """
    began = time.monotonic()
    check_bridge(config)
    if config.checkpoint.resume == "never":
        _clear(config.folder)
    (config.folder / RESULT).unlink(missing_ok=True)
    keep_config(config, is_resumed=config.checkpoint.resume != "never")
    begin(config)
    rehearsal = config.bridge.rehearsal
    values: dict[str, str] = {}
    if rehearsal.num_questions:
        config, values = _rehearse(config)
    with Servers(config.folder / "logs", values) as servers:
        config = replace(config, bridge=servers.start(config.bridge))
        intake = take_in(config.bridge, config.folder)
        print(
            f"{counted(intake.num_rows, 'row')} to bridge, {intake.num_bad:,} of {intake.num_read:,} left out",
            flush=True,
        )
        connect(config)
        stop.listen()
        now_running(config)
        summary = build(config, intake, config.folder)
        if rehearsal.num_questions and rehearsal.without_answer:
            blind = replace(config, bridge=replace(config.bridge, reasoner_sees_answer=False))
            print("once more, with the answer kept from the reasoner", flush=True)
            build(blind, intake, config.folder / "without_answer")
    if rehearsal.num_questions:
        summary |= _audit(config)
    summary["wall_seconds"] = time.monotonic() - began
    write_json(config.folder / "summary.json", summary)
    print("\n".join(summary_lines(summary)), flush=True)
    return write_result(
        config, {"kind": "bridge", "dataset": str(config.folder / DATASET), **summary}
    )


def build(config: RunConfig, intake: Intake, folder: Path) -> dict[str, Any]:
    """Bridge all rows and write the dataset into `folder`. Returns the counts."""
    folder.mkdir(parents=True, exist_ok=True)
    log = OutcomeLog(folder / "outcomes.jsonl", intake.num_rows)
    progress = Progress(config.bridge, intake.num_rows)
    try:
        outcomes = run_pipeline(
            config.bridge,
            intake,
            seed=config.seed,
            store_path=config.folder / STORE,
            timeout_seconds=config.cluster.step_timeout_seconds,
        )
        for outcome in outcomes:
            look(folder)
            log.add(outcome.row.index, to_json(outcome))
            if line := progress.add(outcome):
                print(line, flush=True)
        print(progress.line(), flush=True)
        if log.missing():
            raise RuntimeError(
                f"{counted(log.missing(), 'row')} came to no end; run it again, they are asked then"
            )
        return _write(config.bridge, intake, folder, log)
    finally:
        log.close()


def _write(config: BridgeConfig, intake: Intake, folder: Path, log: OutcomeLog) -> dict[str, Any]:
    """The dataset, its card and the list of dropped rows, in the rows' order."""
    unfinished = folder / f"{DATASET}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    tally = Tally(config, load_rules(config.rules))
    reasons: Counter[str] = Counter()  # of rows without a chain
    samples: list[tuple[Outcome, list[Path]]] = []
    with (
        DatasetWriter(unfinished, rows_per_shard=config.rows_per_shard) as writer,
        (folder / "dropped.jsonl").open("w", encoding="utf-8") as dropped,
    ):
        for line in log.lines():
            look(folder)
            outcome = outcome_from_json(line)
            tally.add(outcome)
            if outcome.chosen is None:
                reasons[outcome.reason] += 1
                dropped.write(_dropped_line(outcome) + "\n")
                continue
            paths = writer.write(outcome)
            if len(samples) < config.num_samples:
                samples.append((outcome, paths))
    _check_kept(tally, reasons, folder)
    counts = tally.counts()
    sizes = {"num_read": intake.num_read, "num_bad": intake.num_bad}
    write_card(unfinished, counts, config, samples, **sizes)
    write_json(unfinished / "counts.json", sizes | counts)
    shutil.rmtree(folder / DATASET, ignore_errors=True)
    os.replace(unfinished, folder / DATASET)
    return sizes | counts


def _check_kept(tally: Tally, reasons: Counter[str], folder: Path) -> None:
    """A run that keeps no row has done nothing, whatever it cost: RuntimeError with the commonest cause."""
    if tally.kept:
        return
    reason, times = reasons.most_common(1)[0]
    raise RuntimeError(
        f"none of {tally.asked} rows was kept, {times} for this cause: {reason}\nNo dataset was written; every row's "
        f"cause is in {folder / 'dropped.jsonl'}. Mend it and run the same command again: what was answered is kept"
    )


def _dropped_line(outcome: Outcome) -> str:
    row = outcome.row
    fields = {
        "index": row.index,
        "source": row.source,
        "question": row.question,
        "reason": outcome.reason,
        "rules": [list(candidate.dropped_by) for candidate in outcome.candidates],
    }
    return json.dumps(fields, ensure_ascii=False)


def _rehearse(config: RunConfig) -> tuple[RunConfig, dict[str, str]]:
    """Draw the questions, the run's only source; and what the servers' commands may name."""
    data = config.folder / "figure_math"
    data.mkdir(parents=True, exist_ok=True)
    path = write_split(data, "train", config.seed, config.bridge.rehearsal.num_questions)
    source = BridgeSourceConfig(reader="geometry3k", path=str(path))
    private_folder(config.folder / "logs")
    for role in ("mllm", "reasoner"):
        open(_ledger(config, role), "a", opener=as_folder).close()
    ledgers = {f"{role}_ledger": str(_ledger(config, role)) for role in ("mllm", "reasoner")}
    values = {"data": str(data), "seed": str(config.seed), **ledgers}
    return replace(config, bridge=replace(config.bridge, sources=[source])), values


def _ledger(config: RunConfig, role: str) -> Path:
    return config.folder / "logs" / f"{role}_ledger.jsonl"


def _audit(config: RunConfig) -> dict[str, Any]:
    """The audit of the run, and beside it how the chains agree with the drawing if the answer was kept back."""
    faults, num_requests = read_ledger(_ledger(config, "reasoner"))
    found = audit(_outcomes(config.folder), faults) | {"reasoner_requests": num_requests}
    blind = config.folder / "without_answer"
    if config.bridge.rehearsal.without_answer:
        found["without_answer"] = audit(_outcomes(blind), faults)
    return found


def _outcomes(folder: Path) -> Iterator[Outcome]:
    with (folder / "outcomes.jsonl").open(encoding="utf-8") as file:
        for line in file:
            yield outcome_from_json(line)


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """What the console shows of a summary."""
    lines = [f"\n{summary['kept']} of {summary['asked']} kept; dropped by"]
    lines += [f"  {name:<22}{n:>8}" for name, n in summary["dropped"].items() if n]
    if failed := sum(n for name, n in summary["dropped"].items() if name.endswith("_failed")):
        lines.append(
            f"{counted(failed, 'row')} got no reply; remove {RESULT} of the run and give the same command again to ask for them alone"
        )
    if "precision" in summary:
        precision, recall = shown(summary["precision"], FORM), shown(summary["recall"], FORM)
        lines.append(f"precision {precision}, recall {recall}")
        for fault, counts in summary["by_fault"].items():
            lines.append(f"  {fault:<22}{counts['kept']:>8} kept {counts['dropped']:>8} dropped")
        consistency = shown(summary["drawing_consistency"], FORM)
        lines.append(f"chains that read the drawing right: {consistency}")
    if "without_answer" in summary:
        consistency = shown(summary["without_answer"]["drawing_consistency"], FORM)
        lines.append(f"with the answer kept from the reasoner: {consistency}")
    return lines


def _clear(folder: Path) -> None:
    for name in _LEFTOVERS:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
