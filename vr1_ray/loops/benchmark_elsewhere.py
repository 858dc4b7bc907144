"""Benchmarks answered elsewhere: a file of responses is taken over, or an endpoint is asked; no engine is started."""

from pathlib import Path

from vr1_ray.evaluation.elsewhere import read_elsewhere
from vr1_ray.evaluation.remote import RemotePolicy
from vr1_ray.loops.benchmark_asking import Progress
from vr1_ray.loops.benchmark_loop import BenchmarkSet, response_file


def take_elsewhere(benchmarks: BenchmarkSet, label: str) -> None:
    """Fill an evaluation's folder with responses that are missing there, so that they can be judged.

    Raises DataError for a file that lacks some, RemotePolicyError for an endpoint that gave too few.
    """
    if benchmarks.config.eval.responses:
        _take_over(benchmarks, label)
    else:
        _ask(benchmarks, label)


def _take_over(benchmarks: BenchmarkSet, label: str) -> None:
    path, folder = Path(benchmarks.config.eval.responses), benchmarks.folder(label)
    found = [
        read_elsewhere(path, one.benchmark.name, one.questions) for one in benchmarks.selections
    ]
    benchmarks.unanswered(label)  # refuses a folder that holds responses of another file
    for one, responses in zip(benchmarks.selections, found, strict=True):
        file = response_file(folder, one)
        file.path.unlink(missing_ok=True)
        file.append(responses)


def _ask(benchmarks: BenchmarkSet, label: str) -> None:
    config = benchmarks.config
    policy = RemotePolicy(config, max_tokens=benchmarks.max_response_tokens)
    missing = benchmarks.unanswered(label)
    for one, questions in zip(benchmarks.selections, missing, strict=True):
        file = response_file(benchmarks.folder(label), one)
        progress = Progress(one.name, total=len(one.questions), todo=len(questions))
        for responses in policy.ask(questions):
            file.append(responses)
            progress.one_more()
    left = [len(questions) for questions in benchmarks.unanswered(label)]
    policy.check_missing(sum(left), sum(len(one.questions) for one in benchmarks.selections))
