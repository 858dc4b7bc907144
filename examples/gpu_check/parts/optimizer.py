"""torch's fused AdamW against its plain loop: the same weights after some updates, and how long one takes."""

import torch

from examples.gpu_check.bench import Bench, CheckFailedError
from examples.gpu_check.parts.rate import seconds_of

UPDATES = 5
LIMIT = 5e-6  # some roundings of weights of up to 5 in float32
KINDS = {
    "loop": {"fused": False, "foreach": False},
    "foreach": {"fused": False, "foreach": True},
    "fused": {"fused": True},
}


def check(bench: Bench) -> None:
    """The row `fused_adamw`."""
    with bench.row("fused_adamw") as figures:
        number = bench.pick(cpu=2, gpu=160)
        figures["parameters"] = number << 18
        found = {}
        for name, kind in KINDS.items():
            weights, optimizer = _make(bench, number, kind)
            for update in range(UPDATES):
                _set_gradients(weights, seed=update)
                optimizer.step()
            found[name] = [weight.detach().clone() for weight in weights]
            figures[f"{name}_seconds"] = seconds_of(bench, optimizer.step, repeats=5)
        for name in ("foreach", "fused"):
            worst = _largest(found[name], found["loop"])
            figures[f"{name}_differs_by"] = worst
            if not worst <= LIMIT:
                raise CheckFailedError(
                    f"{name} AdamW differs from the loop by {worst:.2g} after {UPDATES} updates, limit {LIMIT:g}"
                )


def _make(
    bench: Bench, number: int, kind: dict[str, bool]
) -> tuple[list[torch.nn.Parameter], torch.optim.AdamW]:
    generator = torch.Generator().manual_seed(0)
    weights = [
        torch.nn.Parameter(torch.randn(512, 512, generator=generator).to(bench.device))
        for _ in range(number)
    ]
    return weights, torch.optim.AdamW(weights, lr=1e-3, weight_decay=0.01, **kind)


def _set_gradients(weights: list[torch.nn.Parameter], *, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for weight in weights:
        weight.grad = torch.randn(weight.shape, generator=generator).to(weight.device)


def _largest(found: list[torch.Tensor], expected: list[torch.Tensor]) -> float:
    pairs = zip(found, expected, strict=True)
    return max((one - other).abs().max().item() for one, other in pairs)
