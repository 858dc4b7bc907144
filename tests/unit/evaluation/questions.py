"""Questions of benchmarks by hand, one row each, and what a response to them earns."""

from vr1_ray.data.images import ImageReader
from vr1_ray.evaluation import find_answer, make_benchmark
from vr1_ray.evaluation.rows import Row


def question(name, **columns):
    """A question of a benchmark from the columns of one row, in the hub's form; pictures left out."""
    row = Row(columns, ImageReader(None, 1_000_000), table="rows", number=0)
    return make_benchmark(name).question(row)


def verdict(name, asked, response, *, is_cut=False):
    """What the benchmark's rules say of a whole response."""
    return make_benchmark(name).check(asked, find_answer(response, is_cut=is_cut))


def wrapped(answer):
    """A response in Vision-R1's format."""
    return f"<think> Let's see. </think><answer> Final Answer:{answer} </answer>"


def run(check, replies=()):
    """A check's verdict, its requests answered in order; and the requests it made."""
    replies, requests = iter(replies), []
    try:
        request = next(check)
        while True:
            requests.append(request)
            request = check.send(next(replies))
    except StopIteration as done:
        return done.value, requests
