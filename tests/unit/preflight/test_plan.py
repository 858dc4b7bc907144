"""The plan of a run: each number by hand, and each way not to fit as a row with its cure."""

import json
from dataclasses import replace

import pytest

from tests.unit.preflight.shapes import published_size
from vr1_ray.config import (
    DataConfig,
    ModelConfig,
    ReferenceConfig,
    RolloutConfig,
    RunConfig,
    StageConfig,
    TrainerConfig,
)
from vr1_ray.config.schema import CheckpointConfig, CurriculumConfig
from vr1_ray.preflight.limits import Machine
from vr1_ray.preflight.plan import plan_rows
from vr1_ray.preflight.table import CheckRow, is_sound

H100S = Machine(gpu_gib=80, num_gpus=64, host_gib=1000, free_disk_gib=4000)


def rl_7b(**changes) -> RunConfig:
    """The paper's RL run on 64 GPUs: 32 learn, 24 sample, 8 are the reference."""
    config = RunConfig(
        kind="rl",
        name="rl",
        prompts_per_step=512,
        model=ModelConfig(
            path="not/there", dtype="bfloat16", max_model_len=10240, max_pixels=4_194_304
        ),
        data=DataConfig(train="rows.parquet", max_prompt_tokens=2048),
        trainer=TrainerConfig(
            num_workers=32,
            num_gpus_per_worker=1,
            zero_stage=3,
            gradient_checkpointing=True,
            mini_batches_per_step=4,
            max_tokens_per_micro_batch=16384,
        ),
        rollout=RolloutConfig(num_engines=24, num_gpus_per_engine=1),
        reference=ReferenceConfig(num_actors=8, num_gpus_per_actor=1),
        curriculum=CurriculumConfig(
            stages=[
                StageConfig(max_response_tokens=4096, group_size=16, steps=100),
                StageConfig(max_response_tokens=8192, group_size=8, steps=100),
                StageConfig(max_response_tokens=16384, group_size=4, steps=100, enabled=False),
            ]
        ),
        checkpoint=CheckpointConfig(keep_last=2),
    )
    return replace(config, **changes)


@pytest.fixture
def seven_b(tmp_path):
    return published_size("7b", tmp_path)


def row(rows: list[CheckRow], name: str) -> CheckRow:
    [found] = [found for found in rows if found.name == name]
    return found


def test_the_papers_run_fits_on_64_gpus_of_80_gb(seven_b):
    rows = plan_rows(rl_7b(), H100S, size=seven_b)
    assert {found.status for found in rows} == {"ok"}
    assert row(rows, "GPUs reserved") == CheckRow(name="GPUs reserved", value="64", limit="64")


def test_each_enabled_stage_has_its_batch_arithmetic(seven_b):
    rows = plan_rows(rl_7b(), H100S, size=seven_b)
    # An update has 512 / 4 = 128 prompts: 128 x 16 / 32 ranks = 64 rows; 8192 / 24 engines = 341.3.
    assert row(rows, "stage 1: batch").value == (
        "512 prompts x 16 = 8,192 responses, 4 updates; 64 rows a rank, 341 an engine"
    )
    assert "32 rows a rank, 171 an engine" in row(rows, "stage 2: batch").value
    assert not [found for found in rows if found.name.startswith("stage 3")]


def test_the_kv_cache_of_an_engine_is_what_weights_and_reserve_leave(seven_b):
    rows = plan_rows(rl_7b(), H100S, size=seven_b)
    # 80 GiB x 0.85 - 4 GiB = 68_719_476_736 bytes, less weights 16_584_333_312, by 57_344 = 909_164 tokens;
    # by 2048 + 4096 = 147 sequences, by 2048 + 8192 = 88.
    assert row(rows, "engine: weights a device").value == "15.4 GiB"
    assert "909,164 tokens of 57,344 B" in row(rows, "engine: KV cache a device").value
    assert row(rows, "stage 1: an engine").value == "147 sequences of 6,144 tokens at once"
    assert row(rows, "stage 2: an engine").value == "88 sequences of 10,240 tokens at once"


def test_engines_of_two_sizes_have_rows_of_their_own(seven_b):
    config = rl_7b()
    rollout = replace(config.rollout, tensor_parallel_sizes=[1, 2, 1])
    rows = plan_rows(replace(config, rollout=rollout), H100S, size=seven_b)
    # Half of the weights' 15.4 GiB a device, and half of the 57,344 bytes a token.
    assert row(rows, "engine of 1: weights a device").value == "15.4 GiB"
    assert row(rows, "engine of 2: weights a device").value == "7.7 GiB"
    assert "tokens of 28,672 B" in row(rows, "engine of 2: KV cache a device").value


def test_disk_holds_one_checkpoint_more_than_is_kept_and_the_policy(seven_b):
    rows = plan_rows(rl_7b(), H100S, size=seven_b)
    # 12 + 2 bytes x 8_292_166_656 = 108.1 GiB each, three at once; the policy alone 15.4 GiB.
    assert row(rows, "disk: checkpoints").value == "339.8 GiB (3 x 108.1 GiB + 15.4 GiB)"
    small = replace(H100S, free_disk_gib=300)
    found = row(plan_rows(rl_7b(), small, size=seven_b), "disk: checkpoints")
    assert found.status == "bad"
    assert "checkpoint.keep_last" in found.cure


def test_rays_object_store_holds_two_policy_versions(seven_b):
    machine = replace(H100S, host_gib=100)
    found = row(plan_rows(rl_7b(), machine, size=seven_b), "host memory: Ray's object store")
    # 2 x 15.4 GiB against Ray's 30 % of 100 GiB
    assert (found.value, found.limit, found.status) == ("30.9 GiB", "30.0 GiB", "bad")
    assert "--object-store-memory" in found.cure


def test_a_broadcast_leaves_room_for_one_version_for_engines_that_join_between_syncs(seven_b):
    machine = replace(H100S, host_gib=100)
    rollout = replace(rl_7b().rollout, weight_transport="nccl")
    found = row(
        plan_rows(rl_7b(rollout=rollout), machine, size=seven_b), "host memory: Ray's object store"
    )
    assert (found.value, found.status) == ("15.4 GiB", "ok")


def test_host_memory_counts_images_and_what_is_offloaded(seven_b):
    rows = plan_rows(rl_7b(), H100S, size=seven_b)
    # A rank has 512 / 32 = 16 prompts of at most 2048 x 784 pixels x 24 bytes; 8 ranks a node: 4.6 GiB.
    assert row(rows, "  images of a step, all ranks of the node").value == "4.6 GiB"
    trainer = replace(rl_7b().trainer, num_workers=4, offload_optimizer=True)
    found = row(
        plan_rows(rl_7b(trainer=trainer), H100S, size=seven_b), "host memory: a trainer node"
    )
    # 16 bytes x 8_292_166_656 = 123.6 GiB, images of 128 prompts a rank 18.4 GiB, policy and store 46.3 GiB
    assert found.value == "188.3 GiB"


def test_a_trainer_that_does_not_fit_is_told_every_way_out_it_has_left(seven_b):
    trainer = replace(rl_7b().trainer, zero_stage=1, gradient_checkpointing=False)
    found = row(plan_rows(rl_7b(trainer=trainer), H100S, size=seven_b), "trainer: a rank")
    assert found.status == "bad"
    for way in (
        "trainer.zero_stage=3",
        "gradient_checkpointing=true",
        "max_tokens_per_micro_batch=10240",
        "offload_optimizer=true",
        "num_workers",
    ):
        assert way in found.cure
    tried = replace(trainer, gradient_checkpointing=True, num_workers=2, zero_stage=3)
    found = row(plan_rows(rl_7b(trainer=tried), H100S, size=seven_b), "trainer: a rank")
    assert found.status == "bad"
    assert "zero_stage" not in found.cure


def test_a_reference_must_fit_one_gpu(tmp_path):
    size = published_size("72b", tmp_path)
    found = row(plan_rows(rl_7b(), H100S, size=size), "reference: an actor")
    assert found.status == "bad"
    assert "kl_coef" in found.cure
    without = replace(rl_7b().algorithm, kl_coef=0.0)
    rows = plan_rows(rl_7b(algorithm=without), H100S, size=size)
    assert not [found for found in rows if found.name.startswith("reference")]
    assert row(rows, "GPUs reserved").value == "56"


def test_an_engine_too_small_for_one_sequence_is_bad(tmp_path):
    size = published_size("32b", tmp_path)
    rows = plan_rows(rl_7b(), H100S, size=size)
    # Weights 62.3 GiB of 68 GiB leave 1.7 GiB after the reserve: 6,9xx tokens of 262,144 bytes.
    found = row(rows, "engine: KV cache a device")
    assert found.status == "bad"
    assert "tensor_parallel_size" in found.cure
    assert row(rows, "stage 1: an engine").status == "warning"  # one sequence, not a group


@pytest.mark.parametrize(
    ("changes", "name", "cure"),
    [
        ({"tensor_parallel_size": 2}, "engine: GPUs", "same number"),
        (
            {"tensor_parallel_size": 8, "num_gpus_per_engine": 8},
            "engine: attention heads",
            "1, 2, 4, 7, 14, 28",
        ),
    ],
)
def test_what_vllm_would_refuse_after_loading_is_refused_here(seven_b, changes, name, cure):
    config = rl_7b(rollout=replace(rl_7b().rollout, **changes))
    found = row(plan_rows(config, H100S, size=seven_b), name)
    assert found.status == "bad"
    assert cure in found.cure


def test_more_gpus_than_there_are_is_bad(seven_b):
    rows = plan_rows(rl_7b(), replace(H100S, num_gpus=32), size=seven_b)
    assert row(rows, "GPUs reserved").status == "bad"
    assert not is_sound(rows)


def test_ranks_without_a_row_are_a_warning(seven_b):
    # 64 prompts in 4 updates are 16 groups of 16 for 32 ranks: a group is split. 4 in 4 are 16 rows.
    split = row(plan_rows(rl_7b(prompts_per_step=64), H100S, size=seven_b), "stage 1: batch")
    assert split.status == "ok"
    found = row(plan_rows(rl_7b(prompts_per_step=4), H100S, size=seven_b), "stage 1: batch")
    assert found.status == "warning"
    assert "16 ranks get no response of an update; lower trainer.num_workers to 16" in found.cure


def test_a_number_close_to_its_limit_is_a_warning(seven_b):
    machine = replace(H100S, free_disk_gib=370)  # 339.8 is over nine tenths of it
    assert row(plan_rows(rl_7b(), machine, size=seven_b), "disk: checkpoints").status == "warning"


def test_eager_attention_is_not_in_the_estimate_and_says_so(seven_b):
    config = rl_7b(model=replace(rl_7b().model, attention="eager"))
    assert row(plan_rows(config, H100S, size=seven_b), "trainer: attention").status == "warning"


def test_a_model_that_is_not_there_is_a_row_and_the_rest_goes_on():
    rows = plan_rows(rl_7b(), H100S)
    found = row(rows, "model: size")
    assert found.status == "warning"
    assert "not/there" in found.cure
    assert row(rows, "stage 2: batch").status == "ok"


def test_a_cold_start_has_no_engine_and_saves_only_if_asked(seven_b):
    config = replace(rl_7b(), kind="sft", prompts_per_step=32, data=DataConfig(cutoff_len=8192))
    rows = plan_rows(config, H100S, size=seven_b)
    assert row(rows, "cold start: batch").value == "32 demonstrations an update, 1 a rank"
    assert row(rows, "GPUs reserved").value == "32"
    assert row(rows, "  activations of 16,384 tokens").status == "ok"
    assert row(rows, "disk: checkpoints").value == "15.4 GiB (0 x 108.1 GiB + 15.4 GiB)"
    assert not [found for found in rows if "engine" in found.name or "store" in found.name]


def test_free_disk_is_asked_of_this_machine_if_it_is_not_given(seven_b, tmp_path):
    config = rl_7b(runs_folder=str(tmp_path / "not" / "yet"))
    limit = row(plan_rows(config, Machine(), size=seven_b), "disk: checkpoints").limit
    assert limit.endswith("iB")


def test_a_recipes_later_steps_are_sized_as_the_step_before():
    from vr1_ray.config import load_config

    rows = plan_rows(load_config("configs/quickstart.yaml"))
    assert row(rows, "rl: model: size").value == "1.92 M parameters"
    assert is_sound(rows)


@pytest.mark.parametrize("name", ["Qwen2-VL-7B", "Qwen3-VL-8B"])
def test_a_run_of_another_family_is_reckoned_by_its_name(name, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    config = rl_7b()
    model = replace(config.model, path=f"Qwen/{name}-Instruct")
    rows = plan_rows(replace(config, model=model), H100S)
    assert {found.status for found in rows} == {"ok"}
    assert any(found.name.startswith("trainer") for found in rows)


def test_a_model_of_text_alone_has_no_pictures_in_its_plan(tmp_path):
    text = {"hidden_size": 4096, "num_hidden_layers": 36, "num_attention_heads": 32}
    text |= {"num_key_value_heads": 8, "intermediate_size": 12288, "vocab_size": 151936}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen3", **text}))
    config = rl_7b()
    rows = plan_rows(replace(config, model=replace(config.model, path=str(tmp_path))), H100S)
    assert {found.status for found in rows} == {"ok"}
    assert row(rows, "  images of a step, all ranks of the node").value == "0.0 MiB"
