"""What a GPU run's trainer is made of, in one process: buffers, passes, optimizer.

Float buffers of a bfloat16 policy under ZeRO-3 are those of the whole one: DeepSpeed's `zero.Init` rounds what a model
computes while it is made, and a rotary frequency in bfloat16 puts far tokens in wrong places.
"""

import time
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForImageTextToText, Qwen2_5_VLForConditionalGeneration
from transformers import initialization as init

from tests.unit.training.sample_rows import model_config, sample_rows, trainer_config
from vr1_ray.algorithms import make_algorithm
from vr1_ray.config import AlgorithmConfig
from vr1_ray.models import load_adapter
from vr1_ray.models.qwen2_5_vl import Qwen25VLAdapter
from vr1_ray.training.deepspeed_config import reference_deepspeed_config
from vr1_ray.training.distributed import LOOPBACK, init_distributed, listen, shut_down
from vr1_ray.training.loading import load_policy
from vr1_ray.training.policy_trainer import PolicyTrainer
from vr1_ray.training.reference import ReferencePolicy

BF16 = model_config(dtype="bfloat16")


@pytest.fixture(scope="module", autouse=True)
def _one_rank():
    listener = listen(LOOPBACK)
    port = listener.getsockname()[1]
    init_distributed(
        rank=0, world_size=1, master_addr=LOOPBACK, master_port=port, listener=listener
    )
    yield
    shut_down()


def whole_buffers(config=BF16):
    policy = load_policy(load_adapter(config), config, chunk_tokens=64)
    return dict(policy.named_buffers())


def assert_same_buffers(found, wanted):
    assert found.keys() == wanted.keys()
    for name, buffer in wanted.items():
        assert found[name].dtype == buffer.dtype, name
        assert torch.equal(found[name].cpu(), buffer), name


def trainer_at(stage, model=BF16, **settings):
    return PolicyTrainer(
        model=model,
        trainer=trainer_config(zero_stage=stage, **settings),
        algorithm=make_algorithm(AlgorithmConfig()),
        seed=0,
        total_updates=1,
        rank=0,
        world_size=1,
    )


def test_the_whole_policy_keeps_rotary_frequencies_in_float32():
    found = {name: buffer for name, buffer in whole_buffers().items() if "inv_freq" in name}
    assert len(found) == 4  # vision tower and language model, each with its original
    assert {buffer.dtype for buffer in found.values()} == {torch.float32}
    # 1e4 ** -(2 / 16), which bfloat16 would make 0.31640625
    assert found["model.model.visual.rotary_pos_emb.inv_freq"][1].item() == pytest.approx(
        10_000 ** (-2 / 16), abs=1e-7
    )


@pytest.mark.parametrize("stage", [1, 2, 3])  # in bfloat16 stage 0 is stage 1
def test_the_trainers_buffers_are_those_of_the_whole_policy(stage):
    assert_same_buffers(dict(trainer_at(stage).engine.module.named_buffers()), whole_buffers())


def test_the_sharded_references_buffers_are_those_of_the_whole_policy():
    reference = ReferencePolicy(model=BF16, trainer=trainer_config(), is_sharded=True)
    assert_same_buffers(dict(reference.policy.module.named_buffers()), whole_buffers())


def test_weights_are_bfloat16_and_linear_stays_torchs_own():
    trainer = trainer_at(3)
    assert torch.nn.functional.linear is torch._C._nn.linear
    assert {p.dtype for p in trainer.engine.module.parameters()} == {torch.bfloat16}


# A family of another make: buffers of other names, of which some come with the checkpoint.


class OddRotary(torch.nn.Module):
    """What a future family may do: frequencies of another name, a bias kept in float32, a mask."""

    def __init__(self):
        super().__init__()
        self.register_buffer("wavelengths", self.computed(), persistent=False)
        self.register_buffer("routing_bias", torch.full((4,), 7.001, dtype=torch.float32))
        self.register_buffer("steps", torch.arange(1000.0, 1009.0).long(), persistent=False)
        self.scale = torch.nn.Parameter(torch.ones(3, dtype=torch.float32))

    def computed(self):
        return 1.0 / (1e6 ** (torch.arange(0, 32, 2, dtype=torch.float) / 32))


class OddModel(Qwen2_5_VLForConditionalGeneration):
    def __init__(self, config):
        super().__init__(config)
        self.odd = OddRotary()
        self.post_init()

    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, OddRotary):
            init.copy_(module.wavelengths, module.computed())
            init.copy_(module.steps, torch.arange(1000, 1009))


class OddAdapter(Qwen25VLAdapter):
    def load_model(self, *, dtype, attention):
        return OddModel.from_pretrained(
            self.config.path, dtype=dtype, attn_implementation=attention
        )


@pytest.fixture
def odd_config(tmp_path):
    model = AutoModelForImageTextToText.from_pretrained(BF16.path, dtype=torch.bfloat16)
    adapter = load_adapter(BF16)
    adapter.save_processor(str(tmp_path))
    state = model.state_dict() | {
        "odd.routing_bias": torch.tensor([5.001, 5.002, 5.003, 5.004]),  # one value in bfloat16
        "odd.scale": torch.full((3,), 2.0),
    }
    model.save_pretrained(tmp_path, state_dict=state)
    return model_config(dtype="bfloat16", path=str(tmp_path))


def test_buffers_of_other_names_and_from_the_checkpoint_are_not_rounded(odd_config):
    settings = reference_deepspeed_config(odd_config)
    adapter = OddAdapter(odd_config)
    whole = load_policy(adapter, odd_config, chunk_tokens=64)
    parts = load_policy(adapter, odd_config, chunk_tokens=64, deepspeed_config=settings)
    assert len(set(whole.model.odd.routing_bias.tolist())) == 4
    assert_same_buffers(dict(parts.named_buffers()), dict(whole.named_buffers()))
    assert {p.dtype for p in parts.parameters()} == {torch.bfloat16}


def test_a_buffer_that_sharding_changed_is_refused_by_name():
    from vr1_ray.training import loading

    policy = load_policy(load_adapter(BF16), BF16, chunk_tokens=64)
    rotary = policy.model.model.language_model.rotary_emb
    rotary.inv_freq = rotary.inv_freq.bfloat16().float()
    with pytest.raises(RuntimeError, match=r"language_model\.rotary_emb\.inv_freq"):
        loading.check_buffers(policy.model)


# Passes and optimizer; in float32, for many CPUs are slow in bfloat16.

FP32 = model_config()


def test_a_step_of_two_mini_batches_makes_three_passes_and_computes_entropy_in_two():
    trainer = trainer_at(2, FP32)
    rows, images = sample_rows(trainer.adapter)
    has_entropy = []
    trainer.engine.module.register_forward_hook(
        lambda policy, inputs, outputs: has_entropy.append(outputs[1] is not None)
    )
    trainer.train_step([rows[:3], rows[3:6]], images)
    # pi_old of the second mini-batch; then each is trained on.
    assert has_entropy == [False, True, True]


def test_entropy_has_a_gradient_where_the_algorithm_needs_it():
    trainer = trainer_at(0, FP32)
    rows, images = sample_rows(trainer.adapter)
    seen, loss = [], trainer.algorithm.loss
    trainer.algorithm.loss = lambda tokens: (seen.append(tokens), loss(tokens))[1]
    trainer.train_step([rows[:3]], images)
    trainer.algorithm.needs_entropy_gradient = True
    trainer.train_step([rows[:3]], images)
    assert [tokens.entropy_N.requires_grad for tokens in seen] == [False, True]


@pytest.mark.slow
@pytest.mark.parametrize("stage", [2, 3])
def test_the_offloaded_optimizer_is_fused_too_and_makes_the_same_update(stage):
    found = []
    for offloads in (False, True):
        trainer = trainer_at(stage, FP32, offload_optimizer=offloads)
        rows, images = sample_rows(trainer.adapter)
        metrics = trainer.train_step([rows[:3]], images)
        assert isinstance(trainer.engine.basic_optimizer, torch.optim.AdamW)
        assert trainer.engine.basic_optimizer.defaults["fused"]
        weights = {name: weight.clone() for name, weight in trainer.named_weights()}
        found.append((weights, metrics["grad_norm"]))
    (plain, norm), (offloaded, offloaded_norm) = found
    assert offloaded_norm == pytest.approx(norm, rel=1e-6)  # stage 3 sums it in another precision
    for name, weight in plain.items():
        torch.testing.assert_close(offloaded[name], weight, rtol=1e-6, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("stage", [1, 2])
def test_with_an_offloaded_optimizer_a_skipped_update_leaves_nothing_to_the_next_one(stage):
    norms = []
    for is_spoiled in (False, True):
        trainer = trainer_at(
            stage, offload_optimizer=True, max_tokens_per_micro_batch=64
        )  # several micro-batches
        rows, images = sample_rows(trainer.adapter)
        if is_spoiled:
            bad = replace(rows[1], row_id="bad", advantage=float("nan"))
            found = trainer.train_step([[rows[0], bad]], images)
            assert found["updates/skipped"] == 1
            assert "Rows that made it: bad" in trainer.take_alarms()[0]
        norms.append(trainer.train_step([rows[:3]], images)["grad_norm"])
    assert norms[1] == norms[0] > 0


def test_a_fused_step_takes_less_than_a_third_of_the_loops_time():
    def seconds(fused):
        weight = torch.nn.Parameter(torch.ones(4_000_000))
        weight.grad = torch.full_like(weight, 0.1)
        adam = torch.optim.AdamW([weight], fused=fused, foreach=None if fused else False)
        adam.step()
        return min(_timed(adam.step) for _ in range(5))

    assert seconds(True) < seconds(False) / 3  # measured: a tenth to a fifteenth


def _timed(function):
    began = time.perf_counter()
    function()
    return time.perf_counter() - began
