"""How far the log-probabilities of engine and trainer lie apart: by rounding alone, and with a fault in the trainer.

    python examples/benchmarks/logprob_noise.py             # bfloat16 and float32, vr1-tiny and a random model of 0.13 B

What `trainer.alarm_logprob_mean` and `alarm_logprob_p99` have as defaults stands on these figures (vr1_ray/loops/measures.py). The engine is
`hf_engine`, which decodes token by token with a cache; the trainer's side is its own forward pass over whole rows (`PolicyModel`,
`score`). The fault: rotary frequencies rounded to bfloat16 in the trainer, as `deepspeed.zero.Init` once made them under ZeRO-3.

CPUs without bfloat16 instructions take minutes for what takes seconds in float32. There products are made of float32 copies and rounded
after, which is what a GPU's matrix units do.
"""

import argparse
import asyncio
import json
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from vr1_ray.config import ModelConfig, RolloutConfig
from vr1_ray.figure_math.dataset import encode_png, random_items
from vr1_ray.models import ModelAdapter, load_adapter
from vr1_ray.rollout.hf_engine import HFEngine
from vr1_ray.training.batch import VisionInputs
from vr1_ray.training.policy_model import PolicyModel
from vr1_ray.training.scoring import MicroBatches, score
from vr1_ray.types import EncodedImage, Prompt, SamplingSpec, TrainRow

WIDTHS = {
    "q_proj": 1.5,
    "k_proj": 1.5,
    "lm_head": 3.0,
}  # standard deviation of what comes out of a layer
PRODUCTS = ("linear", "scaled_dot_product_attention", "conv3d")  # of torch.nn.functional
TINY = Path(__file__).parents[1] / "vr1_tiny/model"


def save_random_model(
    folder: Path, *, hidden: int = 1024, num_layers: int = 8, seed: int = 0
) -> Path:
    """A random Qwen2.5-VL with the 7B's head size and rotary frequencies, and vr1-tiny's tokenizer and processor.

    Its weights are wide enough that attention is peaked and the next token is uncertain as a trained model's is (about
    1 nat), for between near-uniform distributions nothing shows.
    """
    from transformers import AutoConfig, Qwen2_5_VLForConditionalGeneration

    shutil.copytree(
        TINY, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors")
    )
    config = AutoConfig.from_pretrained(TINY)
    text, vision = config.text_config, config.vision_config
    text.hidden_size, text.num_hidden_layers, text.intermediate_size = (
        hidden,
        num_layers,
        4 * hidden,
    )
    text.num_attention_heads, text.num_key_value_heads = hidden // 128, hidden // 384
    text.layer_types = ["full_attention"] * num_layers
    text.max_position_embeddings = 32768
    text.rope_parameters = {
        "rope_type": "default",
        "rope_theta": 1e6,
        "mrope_section": [16, 24, 24],
    }
    vision.out_hidden_size = hidden
    torch.manual_seed(seed)
    with torch.no_grad():
        model = Qwen2_5_VLForConditionalGeneration(config)
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                wide = next((w for part, w in WIDTHS.items() if part in name), 1.0)
                weight.normal_(std=wide / weight.shape[-1] ** 0.5)
    model.to(torch.bfloat16).save_pretrained(folder)
    return folder


@contextmanager
def products_by_float32() -> Iterator[None]:
    """Inside, products of bfloat16 tensors are made of float32 copies and rounded after, as a GPU's matrix units do it.

    A no-op where there is a GPU. Copies of weights are kept for the next call.
    """
    if torch.cuda.is_available():
        yield
        return
    copies: dict[
        int, tuple[torch.Tensor, torch.Tensor]
    ] = {}  # the weight too, so that its address stays its own

    def wide(tensor: Any) -> Any:
        if not isinstance(tensor, torch.Tensor) or tensor.dtype != torch.bfloat16:
            return tensor
        if not isinstance(tensor, torch.nn.Parameter):
            return tensor.float()
        if tensor.data_ptr() not in copies:
            copies[tensor.data_ptr()] = tensor, tensor.detach().float()
        return copies[tensor.data_ptr()][1]

    def by_float32(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def call(first: torch.Tensor, *others: Any, **options: Any) -> torch.Tensor:
            return function(wide(first), *map(wide, others), **options).to(first.dtype)

        return call

    plain = {name: getattr(F, name) for name in PRODUCTS}
    for name, function in plain.items():
        setattr(F, name, by_float32(function))
    try:
        yield
    finally:
        for name, function in plain.items():
            setattr(F, name, function)


def long_prompt(adapter: ModelAdapter, num_tokens: int, *, seed: int = 0) -> Prompt:
    """A prompt of so many tokens of random letters, for whose response positions are far from the beginning."""
    letters = random.Random(seed)
    text = "".join(letters.choice("abcdefghijklmnopqrstuvwxyz     ") for _ in range(2 * num_tokens))
    ids = adapter.render(Prompt(prompt_id="whole", question=text)).prompt_ids
    return Prompt(prompt_id="long", question=text[: len(text) * num_tokens // len(ids)])


def figure_prompts(number: int) -> list[Prompt]:
    """Questions that vr1-tiny was made for, each with its picture."""
    return [
        Prompt(
            prompt_id=f"figure {place}",
            question=f"<image>{question.text}",
            images=(EncodedImage.from_bytes(encode_png(figure)),),
        )
        for place, (figure, question, _) in enumerate(random_items("test", 0, number))
    ]


def sampled_rows(model: ModelConfig, prompts: list[Prompt], num_tokens: int) -> list[TrainRow]:
    """A response of the engine to each prompt, of at most so many tokens, with the engine's log-probabilities."""
    adapter = load_adapter(model)
    engine = HFEngine(model=model, rollout=RolloutConfig(), adapter=adapter)
    spec = SamplingSpec(max_response_tokens=num_tokens, group_size=1)

    async def sample() -> list[TrainRow]:
        await engine.start()
        rows = []
        for seed, prompt in enumerate(prompts):
            rendered, images = adapter.render(prompt), adapter.open_images(prompt.images)
            [found] = await engine.generate(prompt.prompt_id, rendered, images, spec, [seed])
            rows.append(
                TrainRow(
                    row_id=prompt.prompt_id,
                    prompt_ids=rendered.prompt_ids,
                    response_ids=found.response_ids,
                    image_hashes=tuple(image.content_hash for image in prompt.images),
                    rollout_logprobs=found.logprobs,
                    temperature=1.0,
                )
            )
        return rows

    return asyncio.run(sample())


def round_rotary_frequencies(policy: PolicyModel) -> None:
    """The fault: every `inv_freq`, of language model and vision tower, as bfloat16 holds it."""
    for name, buffer in policy.named_buffers():
        if name.endswith("inv_freq"):
            buffer.copy_(buffer.bfloat16())


def differences(policy: PolicyModel, rows: list[TrainRow], prompts: list[Prompt]) -> torch.Tensor:
    """|trainer's - engine's log-probability| of every response token, [N]."""
    images = {image.content_hash: image for prompt in prompts for image in prompt.images}
    vision, device = VisionInputs(policy.adapter, images), torch.device("cpu")
    batches = MicroBatches(rows, vision, policy.adapter, max_tokens=4096, device=device)
    engine_N = torch.tensor([value for row in rows for value in row.rollout_logprobs or ()])
    return (torch.cat(score(policy, batches)) - engine_N).abs()


def compare(model: ModelConfig, prompts: list[Prompt], num_tokens: int) -> dict[str, torch.Tensor]:
    """The differences without and with the fault, {"sound": [N], "fault": [N]}."""
    with products_by_float32():
        rows = sampled_rows(model, prompts, num_tokens)
        policy = PolicyModel(load_adapter(model), model, chunk_tokens=1024)
        sound_N = differences(policy, rows, prompts)
        round_rotary_frequencies(policy)
        return {"sound": sound_N, "fault": differences(policy, rows, prompts)}


def main() -> None:
    """Print a row for each model, dtype and trainer."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--dtypes", nargs="+", default=["bfloat16", "float32"])
    arguments.add_argument(
        "--seeds", type=int, default=3, help="random models, each with a prompt of its own"
    )
    arguments.add_argument("--tokens", type=int, default=96, help="of each response")
    chosen = arguments.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for dtype in chosen.dtypes:
            for seed in range(chosen.seeds):
                made = save_random_model(Path(folder) / f"random_{seed}", seed=seed)
                model = ModelConfig(path=str(made), dtype=dtype, max_model_len=4096)
                prompts = [long_prompt(load_adapter(model), 1900, seed=seed)]
                report(
                    f"random {seed}, 1,900 + {chosen.tokens} tokens", model, prompts, chosen.tokens
                )
            model = ModelConfig(path=str(TINY), dtype=dtype, max_model_len=2048)
            prompts = [long_prompt(load_adapter(model), 1900)]
            report(f"vr1-tiny, 1,900 + {chosen.tokens} tokens", model, prompts, chosen.tokens)
            report("vr1-tiny, its own questions", model, figure_prompts(24), 160)


def report(what: str, model: ModelConfig, prompts: list[Prompt], num_tokens: int) -> None:
    """Print the figures of one comparison, without and with the fault."""
    for fault, found_N in compare(model, prompts, num_tokens).items():
        figures = {"mean": found_N.mean(), "p99": found_N.quantile(0.99), "max": found_N.max()}
        row = {"model": what, "dtype": model.dtype, "trainer": fault, "tokens": len(found_N)}
        print(
            json.dumps(row | {name: float(f"{value:.3g}") for name, value in figures.items()}),
            flush=True,
        )


if __name__ == "__main__":
    main()
