"""What TRL's own loss makes of fixed log-probabilities, for `test_trl.py`. TRL is not installed for it:

    pip download trl==1.16.0 --no-deps && unzip trl-1.16.0-py3-none-any.whl
    python -m tests.unit.algorithms.record_trl trl/trainer/grpo_trainer.py > tests/unit/algorithms/trl_1_16_0.json

The source of `GRPOTrainer._compute_loss` is executed as it stands, with an object for `self` whose model gives these
log-probabilities. Its importance ratio comes from another method of 240 lines, of which `importance` repeats the formula.
"""

import ast
import json
import sys
import textwrap
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import torch

LENGTHS = (4, 2, 1)  # three responses, their tokens one after the other
LOGPROBS = (-0.5, -1.2, -2.0, -0.1, -0.9, -3.0, -0.4)
OLD_LOGPROBS = (-0.7, -1.2, -1.4, -0.6, -0.9, -2.2, -1.9)
REF_LOGPROBS = (-0.6, -1.0, -2.3, -0.1, -1.5, -2.0, -0.4)
ROLLOUT_LOGPROBS = (-0.9, -1.1, -1.4, -1.6, -1.0, -2.2, -1.8)
ADVANTAGES = (1.5, -0.5, -1.0)  # of each response
ENTROPY = 0.5  # of each token

CASES = {
    "grpo": {"loss_type": "grpo", "beta": 0.1},
    "dapo": {"loss_type": "dapo", "epsilon_high": 0.28},
    "dr_grpo": {"loss_type": "dr_grpo"},
    "gspo": {"loss_type": "grpo", "importance_sampling_level": "sequence", "epsilon_high": 0.25},
    "cispo": {"loss_type": "cispo", "epsilon_high": 1.4},
    "sapo": {"loss_type": "sapo"},
    "dual_clip": {"loss_type": "dapo", "delta": 3.0},
    "entropy_bonus": {"loss_type": "dapo", "entropy_coef": 0.1},
    "importance_of_tokens": {"loss_type": "dapo", "cap": 1.3},
    "importance_of_responses": {"loss_type": "sapo", "beta": 0.1, "cap": 1.3, "level": "sequence"},
}


def padded(values: tuple[float, ...]) -> torch.Tensor:
    """Rows of LENGTHS, zeros behind them."""
    rows = torch.split(torch.tensor(values, dtype=torch.float64), LENGTHS)
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)


def importance(mask: torch.Tensor, cap: float, level: str) -> torch.Tensor:
    """`vllm_importance_sampling_ratio`, modes token_truncate and sequence_truncate."""
    difference = (padded(OLD_LOGPROBS) - padded(ROLLOUT_LOGPROBS)) * mask
    difference = difference.sum(-1, keepdim=True) if level == "sequence" else difference
    return torch.clamp(torch.exp(difference), max=cap)


def loss_and_gradient(compute_loss, *, cap=None, level="token", **settings) -> dict:
    """TRL's loss of the fixed numbers and its gradient in each log-probability."""
    logprobs, mask = padded(LOGPROBS).requires_grad_(), padded((1.0,) * sum(LENGTHS))
    same = {"gather": lambda value: value, "reduce": lambda value, reduction: value}
    me = {
        "_get_per_token_logps_and_entropies": lambda *_, **__: (logprobs, mask * ENTROPY, None),
        "accelerator": SimpleNamespace(num_processes=1, sync_gradients=False, **same),
        "args": SimpleNamespace(
            use_bias_correction_kl=False,
            delta=settings.pop("delta", None),
            sapo_temperature_pos=1.0,
            sapo_temperature_neg=1.05,
            steps_per_generation=1,
        ),
        "model": SimpleNamespace(training=True),
        "current_gradient_accumulation_steps": 1,
        "max_completion_length": 8,
        "aux_loss_enabled": False,
        "top_entropy_quantile": 1.0,
        "off_policy_mask_threshold": None,
        "importance_sampling_level": "token",
        "beta": 0.0,
        "epsilon_low": 0.2,
        "epsilon_high": 0.2,
        "use_vllm": cap is not None,
        "vllm_importance_sampling_correction": cap is not None,
        "use_adaptive_entropy": False,
        "_entropy_bonus_enabled": "entropy_coef" in settings,
        "_metrics": {"train": defaultdict(list)},
    }
    inputs = {
        "prompt_ids": torch.zeros(len(LENGTHS), 1),
        "prompt_mask": torch.ones(len(LENGTHS), 1),
        "completion_ids": torch.zeros_like(mask),
        "completion_mask": mask,
        "advantages": torch.tensor(ADVANTAGES, dtype=torch.float64),
        "old_per_token_logps": padded(OLD_LOGPROBS),
        "ref_per_token_logps": padded(REF_LOGPROBS),
        "num_items_in_batch": mask.sum(),
        "importance_sampling_ratio": importance(mask, cap, level) if cap else None,
    }
    loss = compute_loss(SimpleNamespace(**(me | settings)), None, inputs)
    loss.backward()
    gradient = logprobs.grad[mask.bool()]
    return {"loss": round(loss.item(), 9), "gradient": [round(g, 9) for g in gradient.tolist()]}


def main(path: Path) -> None:
    source = path.read_text()
    [method] = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name == "_compute_loss"
    ]
    scope = {"torch": torch, "nanmin": torch.min, "nanmax": torch.max}
    exec(textwrap.dedent(ast.get_source_segment(source, method)), scope)
    found = {
        name: loss_and_gradient(scope["_compute_loss"], **case) for name, case in CASES.items()
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
