"""What vLLM reads from the environment of its process: threads, and where its own talk goes. Imports no vllm."""

import json
import os
from pathlib import Path

import torch

from vr1_ray.tracking.privacy import as_folder, private_folder


def set_environment(num_threads: int, log_file: str | None) -> None:
    """vLLM reads these when it is imported and when it starts its processes."""
    os.environ["OMP_NUM_THREADS"] = str(num_threads)
    # vLLM's own binding would put the engines of one machine on the same cores.
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    if not torch.cuda.is_available():
        # Compiling one small sampling function in C++ would take 20 s of the first call.
        os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING" if log_file is None else "INFO")
    if log_file is not None:
        os.environ["VLLM_LOGGING_CONFIG_PATH"] = _write_logging_config(log_file)


def _write_logging_config(log_file: str) -> str:
    """A logging config beside `log_file` that sends vLLM's log there, from all of its processes."""
    private_folder(Path(log_file).parent)
    line = "%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": line}},
        "handlers": {
            "file": {"class": "logging.FileHandler", "filename": log_file, "formatter": "line"}
        },
        "loggers": {"vllm": {"handlers": ["file"], "level": "INFO", "propagate": False}},
    }
    path = f"{log_file}.config.json"
    with open(path, "w", encoding="utf-8", opener=as_folder) as file:
        file.write(json.dumps(config))
    open(log_file, "a", opener=as_folder).close()  # vLLM's processes open what is there
    return path
