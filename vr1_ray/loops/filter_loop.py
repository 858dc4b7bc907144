"""Which prompts are worth training on: k responses to each, and those kept whose pass rate lies in a window.

    vr1 filter CONFIG        of an RL run: its policy, engines, rewards and prompts; or of `kind: filter`

runs/NAME/filter/  pass_rates.jsonl    one line a prompt that was tried; a run that was stopped tries the others
                   dataset/            the prompts that were kept, as a data set (`data/filtered.py`)
                   config.yaml  result.json  logs/
"""

import json
import os
import shutil
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from vr1_ray.actors.cluster import connect
from vr1_ray.actors.fleet import Fleet
from vr1_ray.config import ConfigError, RunConfig
from vr1_ray.config.filter import response_budget
from vr1_ray.data.filtered import (
    count_verdicts,
    pass_rate,
    summary_table,
    verdict_of,
    write_dataset,
)
from vr1_ray.runs.lock import look
from vr1_ray.runs.run_folder import RESULT, keep_config, write_result
from vr1_ray.runs.run_state import begin, now_running
from vr1_ray.runs.stopping import StopSignal
from vr1_ray.types import Prompt, SamplingSpec
from vr1_ray.wording import counted

if TYPE_CHECKING:  # what was read before is handed in from above
    from vr1_ray.preflight import RunInputs

RATES, DATASET = "pass_rates.jsonl", "dataset"
TELL_SECONDS = 10.0  # between two lines about the progress


def run_filter(config: RunConfig, inputs: "RunInputs", stop: StopSignal) -> dict[str, Any]:
    """Try every prompt that was not tried, and write those to keep. Returns the counts and the file for `data.train`.

    Raises ConfigError if what was tried before was tried otherwise, or if no prompt is kept; ActorError if an actor
    fails, InvalidRolloutsError if too many responses have no reward, Stopped after a SIGTERM. Whatever ends it, the
    pass rates that were found are on disk.
    """
    began = time.monotonic()
    for note in inputs.notes:
        print(f"note: {note}", flush=True)
    with PassRates(config) as found:
        (config.folder / RESULT).unlink(missing_ok=True)
        keep_config(config, is_resumed=bool(found.rates))
        begin(config)
        left = [prompt for prompt in inputs.prompts if prompt.prompt_id not in found.rates]
        print(
            f"{counted(len(left), 'prompt')} to try, {len(inputs.prompts) - len(left):,} done",
            flush=True,
        )
        if left:
            connect(config)
            stop.listen()
            with Fleet(config, objects=inputs.objects) as fleet:
                fleet.place_pictures(left)
                fleet.start()
                now_running(config)
                try_all(fleet, config, left, found, stop)
    result = keep(config, inputs.prompts, found.rates)
    return write_result(config, result | {"wall_seconds": time.monotonic() - began})


def try_all(
    fleet: Fleet, config: RunConfig, prompts: list[Prompt], found: "PassRates", stop: StopSignal
) -> None:
    """Sample and score every prompt; each pass rate is on disk as soon as it is known."""
    own = config.filter
    spec = SamplingSpec(
        max_response_tokens=response_budget(config),
        group_size=own.num_samples,
        temperature=config.rollout.temperature,
        top_p=config.rollout.top_p,
    )
    told = time.monotonic()
    for done, (prompt, group) in enumerate(
        fleet.sample_each(prompts, spec, at_once=own.prompts_at_once), start=1
    ):
        found.add(prompt, None if group is None else pass_rate(group, own.by, own.pass_at))
        stop.check()
        if time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            counts = count_verdicts(found.rates.values(), own)
            shown = ", ".join(f"{count:,} {name}" for name, count in counts.items())
            print(f"{done:,} of {len(prompts):,}: {shown}", flush=True)


def keep(
    config: RunConfig, prompts: list[Prompt], rates: dict[str, float | None]
) -> dict[str, Any]:
    """Write the data set of the prompts inside the window, and tell; returns the counts and its file."""
    own = config.filter
    by_id = {prompt.prompt_id: rates[prompt.prompt_id] for prompt in prompts}
    counts = count_verdicts(by_id.values(), own)
    print(summary_table(counts, own), flush=True)
    kept = {
        key: rate
        for key, rate in by_id.items()
        if rate is not None and verdict_of(rate, own) == "kept"
    }
    if not kept:
        raise ConfigError(
            f"filter.min_rate, max_rate: no prompt has a pass rate from {own.min_rate:g} to {own.max_rate:g}; all are in "
            f"{config.folder / RATES}, and another window asks nothing again"
        )
    folder = Path(own.output or config.folder / DATASET)
    chosen = [prompt for prompt in prompts if prompt.prompt_id in kept]
    file = write_dataset(folder, chosen, kept, config.data)
    root = ' data.image_root=""' if config.data.image_root else ""
    print(f"train on it with data.train={file}{root}", flush=True)
    return {
        "kind": "filter",
        "dataset": str(file),
        "counts": counts,
        "mean_pass_rate": sum(kept.values()) / len(kept),
    }


class PassRates:
    """The pass rates on disk: the settings they were found under in the first line, then one line a prompt.

    A line that a killed run left half written is cut off. Raises ConfigError if they were found under others.

    Example:
        with PassRates(config) as found:
            found.add(prompt, 0.5)
            found.rates    # {"9f0c": 0.5}; None for a prompt whose responses had no reward
    """

    def __init__(self, config: RunConfig) -> None:
        self.path = config.folder / RATES
        self.rates: dict[str, float | None] = {}
        if config.checkpoint.resume == "never":
            self.path.unlink(missing_ok=True)
            shutil.rmtree(config.folder / DATASET, ignore_errors=True)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        settings = json.loads(json.dumps(_settings(config)))
        self._file: IO[bytes] = self.path.open("a+b")
        self._file.seek(0)
        whole = 0
        for number, line in enumerate(self._file.readlines()):
            if not line.endswith(b"\n"):
                break
            row = json.loads(line)
            if number == 0:
                self._check(row["settings"], settings)
            else:
                self.rates[row["prompt_id"]] = row["pass_rate"]
            whole += len(line)
        self._file.truncate(whole)
        if not whole:
            self._write({"settings": settings})

    def add(self, prompt: Prompt, rate: float | None) -> None:
        """A prompt was tried. On disk when this returns: a process that is killed then has lost nothing."""
        self.rates[prompt.prompt_id] = rate
        self._write({"prompt_id": prompt.prompt_id, "pass_rate": rate})

    def _write(self, row: dict[str, Any]) -> None:
        look(self.path)
        self._file.write(json.dumps(row).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _check(self, before: dict[str, Any], now: dict[str, Any]) -> None:
        changed = [key for key in now if before.get(key) != now[key]]
        if changed:
            self._file.close()
            raise ConfigError(
                f"{', '.join(changed)}: changed since the pass rates in {self.path} were found; give the filter another "
                "name=..., or start over with checkpoint.resume=never"
            )

    def __enter__(self) -> "PassRates":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _settings(config: RunConfig) -> dict[str, Any]:
    """What a pass rate depends on, beside the prompt itself."""
    own = config.filter
    return {
        "model.path": config.model.path,
        "model.revision": config.model.revision,
        "model.system_prompt": config.model.system_prompt,
        "model pixels": [config.model.min_pixels, config.model.max_pixels],
        "seed": config.seed,
        "rollout.temperature": config.rollout.temperature,
        "rollout.top_p": config.rollout.top_p,
        "rewards": [[spec.name, spec.weight, spec.options] for spec in config.rewards],
        "filter.num_samples": own.num_samples,
        "filter.by": own.by,
        "filter.pass_at": own.pass_at,
        "response budget": response_budget(config),
    }
