"""Every recipe's engines through vLLM's own config and front end, as on a machine with GPUs and Triton."""

import asyncio
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from tests.as_on_gpu.gpu_machine import eight_gpus
from tests.as_on_gpu.published import save_published_model
from tests.builders import TINY_MODEL, prompt
from vr1_ray.config import load_config
from vr1_ray.config.loading import recipe_runs
from vr1_ray.models import load_adapter
from vr1_ray.rollout.vllm_engine import VLLMEngine
from vr1_ray.types import SamplingSpec

CONFIGS = Path(__file__).parents[2] / "configs"
RECIPES = sorted((CONFIGS / "vision_r1").glob("*.yaml"))
SERVING = CONFIGS.parent / "examples/serving/README.md"


def sampling_runs():
    """Each run of the recipes that starts engines, with the published model that it samples from."""
    for path in RECIPES:
        config = load_config(path)
        runs = recipe_runs(config) if config.kind == "recipe" else [config]
        for run in runs:
            if run.kind in ("rl", "eval"):
                is_of_a_step = run.model.path.startswith(f"{run.runs_folder}/")
                yield pytest.param(
                    run, config.model.path if is_of_a_step else run.model.path, id=run.name
                )


@pytest.fixture(scope="module", autouse=True)
def gpus():
    with eight_gpus():
        yield


def engine_of(run, path: Path) -> VLLMEngine:
    """As a rollout actor makes it (`RolloutActor.start`)."""
    model = replace(run.model, path=str(path))
    return VLLMEngine(
        model=model,
        rollout=run.rollout.of_engine(0),
        adapter=load_adapter(model),
        can_sleep=run.is_colocated,
    )


def front_end(config):
    """All that vLLM checks in the process that asks, before it starts one that samples."""
    from vllm.v1.engine.input_processor import InputProcessor
    from vllm.v1.executor import Executor

    Executor.get_class(config)
    return InputProcessor(config)


@pytest.mark.parametrize(("run", "model"), list(sampling_runs()))
def test_vllm_takes_the_engines_of_every_recipe(run, model, tmp_path):
    config = engine_of(run, save_published_model(model, tmp_path / "model")).vllm_config()
    front_end(config)
    assert config.use_v2_model_runner
    parallel = config.parallel_config
    assert parallel.tensor_parallel_size == run.rollout.tensor_parallel_size
    assert parallel.world_size <= run.rollout.num_gpus_per_engine
    assert parallel.distributed_executor_backend == ("uni" if parallel.world_size == 1 else "mp")
    assert parallel.worker_cls == "vllm.v1.worker.gpu_worker.Worker"
    assert parallel.worker_extension_cls == "vr1_ray.rollout.vllm_worker.WorkerExtension"
    assert config.model_config.enable_sleep_mode == run.is_colocated
    assert config.model_config.logprobs_mode == "processed_logprobs"
    assert config.model_config.get_vocab_size() == 152_064
    assert config.weight_transfer_config.backend == "vr1_packed"
    assert config.cache_config.enable_prefix_caching
    assert config.scheduler_config.max_num_batched_tokens == 8192


def rl_7b(**rollout):
    run = load_config(CONFIGS / "vision_r1/rl_7b.yaml")
    return replace(run, rollout=replace(run.rollout, **rollout))


@pytest.mark.parametrize(
    ("is_whole", "num_tokens", "image_id"),
    [
        pytest.param(False, 537, 535, id="tiny vocabulary"),
        pytest.param(True, 151_665, 151_655, id="published vocabulary", marks=pytest.mark.slow),
    ],
)
def test_a_request_with_a_picture_of_a_megapixel_is_taken(tmp_path, is_whole, num_tokens, image_id):
    run = rl_7b()
    folder = tmp_path / "model"
    engine = engine_of(
        run, save_published_model(run.model.path, folder, has_whole_vocabulary=is_whole)
    )
    rows_without_a_token = set(range(num_tokens, 152_064))
    assert rows_without_a_token | {image_id} <= set(engine.adapter.banned_ids)
    row = prompt(1, size=(1120, 896))
    rendered = engine.adapter.render(row)
    assert rendered.prompt_ids.count(image_id) == 40 * 32  # 28 pixels a side each
    inputs = front_end(engine.vllm_config())
    asked = {
        "prompt_token_ids": list(rendered.engine_ids),
        "multi_modal_data": {"image": engine.adapter.open_images(row.images)},
    }
    [rendered_there] = asyncio.run(inputs.renderer.render_cmpl_async([asked]))
    params = engine.sampling_params(SamplingSpec(max_response_tokens=8192, group_size=8), seed=7)
    request = inputs.process_inputs("p1-0", rendered_there, params, ("generate",))
    assert tuple(request.prompt_token_ids) == rendered.prompt_ids
    assert request.sampling_params.seed == 7


def test_a_prompt_may_have_as_many_images_as_the_config_says_and_no_more(tmp_path):
    run = replace(rl_7b(), model=replace(rl_7b().model, max_images=5))
    engine = engine_of(run, save_published_model(run.model.path, tmp_path / "model"))
    renderer = front_end(engine.vllm_config()).renderer

    from vllm.exceptions import VLLMValidationError

    def render(num_images):
        row = prompt(1, num_images=num_images, size=(28, 28))
        images = engine.adapter.open_images(row.images)
        ids = list(engine.adapter.render(row).engine_ids)
        asked = {"prompt_token_ids": ids, "multi_modal_data": {"image": images}}
        return asyncio.run(renderer.render_cmpl_async([asked]))

    assert render(5)
    with pytest.raises(VLLMValidationError, match="At most 5 image"):
        render(6)


@pytest.mark.parametrize(
    ("size", "reason"),
    [(8, "attention heads"), (16, "larger than the number of available GPUs")],
)
def test_vllm_refuses_what_it_refuses_on_gpus(tmp_path, size, reason):
    """So the others pass because it checked."""
    run = rl_7b(tensor_parallel_size=size)
    with pytest.raises(ValueError, match=reason):
        engine_of(run, save_published_model(run.model.path, tmp_path / "model")).vllm_config()


def test_the_servers_line_of_the_readme_bans_tokens_on_gpus():
    from vllm import AsyncEngineArgs
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    lines = SERVING.read_text().replace("\\\n", " ").split("\n")
    [line] = [line for line in lines if line.startswith(".venv/bin/vllm serve ")]
    words = shlex.split(line)[2:]
    words[0] = str(TINY_MODEL)
    words[words.index("--max-model-len") + 1] = "2048"  # vr1-tiny's limit
    parsed = make_arg_parser(FlexibleArgumentParser()).parse_args(words)
    parsed.model = parsed.model_tag
    config = AsyncEngineArgs.from_cli_args(parsed).create_engine_config()
    assert config.use_v2_model_runner
    front_end(config)
    assert config.model_config.logits_processors == ["vr1_ray.rollout.vllm_worker:BanTokens"]
