"""A trainer state that another number of ranks wrote: DeepSpeed's universal checkpoint.

ZeRO 1 to 3 cut weights and optimizer state by rank. `ds_to_universal` of DeepSpeed puts the parts together,
one folder a weight, and each of the new ranks loads its own part of every weight. ZeRO 0 cuts nothing.
The universal form is written beside the state, where all ranks see it, and removed when it is loaded: it needs
as much room as the state.
"""

import shutil
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vr1_ray.training.distributed import failing_together

FOLDER, TAG = "universal", "state"


@contextmanager
def universal(engine: Any, state: Path, folder: Path) -> Iterator[tuple[Path, str]]:
    """The universal form of `state`, a folder DeepSpeed wrote, as folder and tag to load from.

    Collective. While it is there, the engine loads universal checkpoints. Raises OSError on every rank if it
    can't be written.
    """
    target = folder / FOLDER
    with failing_together():
        if engine.global_rank == 0:
            _convert(state, target / TAG)
    settings = engine._config
    settings.load_universal_checkpoint = True
    try:
        yield target, TAG
    finally:
        settings.load_universal_checkpoint = False
    with failing_together():  # also: no rank is reading any more
        pass
    if engine.global_rank == 0:
        shutil.rmtree(target, ignore_errors=True)


def _convert(state: Path, target: Path) -> None:
    from deepspeed.checkpoint import ds_to_universal

    shutil.rmtree(target.parent, ignore_errors=True)
    target.mkdir(parents=True)
    ds_to_universal.main(
        Namespace(
            input_folder=str(state),
            output_folder=str(target),
            num_extract_workers=1,  # in this process: a forked child of a rank would hold its sockets
            num_merge_workers=1,
            keep_temp_folder=False,
            strict=True,
            inject_missing_state=True,  # of models that Megatron did not make, under ZeRO 1 and 2
        )
    )
