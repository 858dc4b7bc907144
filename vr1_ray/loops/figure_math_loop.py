"""Drawing the generated dataset as a step of a recipe (`kind: figure_math`)."""

import time
from pathlib import Path
from typing import Any

from vr1_ray.config import RunConfig
from vr1_ray.figure_math.dataset import write_dataset
from vr1_ray.runs.run_folder import write_result
from vr1_ray.runs.run_state import begin
from vr1_ray.runs.stopping import StopSignal
from vr1_ray.wording import counted


def run_figure_math(config: RunConfig, stop: StopSignal) -> dict[str, Any]:
    """Write the dataset to `figure_math.folder`. The same seed writes the same rows."""
    began = time.monotonic()
    stop.check()
    begin(config)
    size = config.figure_math
    write_dataset(
        Path(size.folder),
        seed=config.seed,
        num_train=size.num_train,
        num_validation=size.num_validation,
        num_test=size.num_test,
        num_demonstrations=size.num_demonstrations,
    )
    print(
        f"figure_math: {counted(size.num_train, 'training question')}, {counted(size.num_test, 'test question')} in {size.folder}"
    )
    return write_result(
        config,
        {"kind": "figure_math", "folder": size.folder, "wall_seconds": time.monotonic() - began},
    )
