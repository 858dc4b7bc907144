"""How long a step and a run take, from a small model of the machine. An estimate: within a factor of two here.

With F floating point operations and B bytes of memory a second of a device, P the weights that a token goes
through, r the tokens of a response (RESPONSE_SHARE of its cap), p those of a prompt, n responses to q prompts a step:

    generate   decode steps x (STEP + weights / B) + tokens an engine x (SEQUENCE + 2 P / (F x use)) / devices
               decode steps: the cap, for some response reaches it, or as many as the engine's room makes it
               take to get through its n r / engines tokens; prompts are read once a group
    reference  2 P (q p + n r) / (F x use) / actors; a prompt stands once before its responses
    train      6 P (q p + n r) / (F x use) / ranks, 8 with gradient checkpointing, 2 more for pi_old where it needs a
               forward pass of its own (all mini-batches but the first); P is the language model, image tokens are
               prompt tokens; and what ranks send each other, see `traffic.py`
    sync       weights / TRANSPORT, twice (published, loaded); with weight_transport ipc, weights / B; broadcast by
               nccl or gloo, weights / BROADCAST, once for all engines

Engines, ranks and reference take turns, so that on CPU each has the cores to itself, but no more than there are.
Measured against the quickstart (two cores, 16 x 16 responses of at most 96 tokens: generate 4.5, reference 1.5,
train 4.3 s): see tests/unit/preflight/test_step_time.py. Groups that are not trained on are not known of. The GPU's constants are guesses that nobody measured
with this code. Left out: evaluations, checkpoints, start.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from vr1_ray.config import RunConfig, StageConfig
from vr1_ray.config.demand import enabled_stages, num_updates
from vr1_ray.preflight import traffic
from vr1_ray.preflight.limits import Machine
from vr1_ray.preflight.memory import DTYPE_BYTES
from vr1_ray.preflight.model_size import ModelSize
from vr1_ray.preflight.speed import Speed
from vr1_ray.preflight.table import CheckRow
from vr1_ray.wording import counted

RESPONSE_SHARE = (
    0.5  # a response's mean length by its cap; the paper's runs: 0.34, 0.25; quickstart: 0.65, 0.35
)
PROMPT_SHARE = (
    0.5  # a prompt's length by data.max_prompt_tokens, where no sample of the data was read
)
TRANSPORT_BYTES_PER_SECOND = 1e9  # Ray's object store, one node to another
BROADCAST_BYTES_PER_SECOND = {"nccl": 1e10, "gloo": 1e9}


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """What a run gets of a device, and what vLLM adds to each step and each sequence of it."""

    train: float  # of the FLOP/s
    decode: float
    bandwidth: float
    step_seconds: float  # of a decode step, whatever it holds
    sequence_seconds: float  # of one sequence in a decode step


CPU_USE = Use(train=0.6, decode=0.5, bandwidth=1.0, step_seconds=0.010, sequence_seconds=0.00025)
GPU_USE = Use(train=0.35, decode=0.5, bandwidth=0.6, step_seconds=0.010, sequence_seconds=0.00002)


@dataclass(frozen=True, kw_only=True, slots=True)
class StepSeconds:
    """One step's parts, in seconds."""

    generate: float
    reference: float
    train: float
    sync: float

    @property
    def total(self) -> float:
        return self.generate + self.reference + self.train + self.sync


def time_rows(
    config: RunConfig,
    machine: Machine,
    size: ModelSize,
    *,
    prompt_tokens: float | None = None,
    num_demonstrations: int | None = None,
) -> Iterator[CheckRow]:
    """A row for each stage and one for the run. `prompt_tokens`: the mean of a sample of the data, if known."""
    speed = machine.speed
    if config.kind not in ("sft", "rl") or speed is None:
        return
    if speed.is_gpu != (config.trainer.num_gpus_per_worker > 0):
        return
    if config.kind == "sft":
        yield from _cold_start_rows(config, machine, size, speed, prompt_tokens, num_demonstrations)
        return
    prompt = prompt_tokens or PROMPT_SHARE * config.data.max_prompt_tokens
    run = 0.0
    for number, stage in enumerate(enabled_stages(config), start=1):
        step = step_seconds(config, machine, size, speed, stage, prompt)
        run += stage.steps * step.total
        yield CheckRow(
            name=f"stage {number}: a step, about",
            value=(
                f"{readable(step.total)} (generate {readable(step.generate)}, reference "
                f"{readable(step.reference)}, train {readable(step.train)}, sync {readable(step.sync)})"
            ),
            **_against_timeout(config, max(step.generate, step.train, step.reference)),
        )
    yield CheckRow(name="the run, about", value=f"{readable(run)} without evaluations")


def _against_timeout(config: RunConfig, longest: float) -> dict:
    limit = config.cluster.step_timeout_seconds
    found = {"limit": readable(limit)}
    if 2 * longest > limit:
        cure = f"a wait may pass cluster.step_timeout_seconds; set it to {int(4 * longest)}"
        found |= {"status": "warning", "cure": cure}
    return found


def step_seconds(
    config: RunConfig,
    machine: Machine,
    size: ModelSize,
    speed: Speed,
    stage: StageConfig,
    prompt: float,
) -> StepSeconds:
    """The parts of one step of a stage."""
    use = GPU_USE if speed.is_gpu else CPU_USE
    response = RESPONSE_SHARE * stage.max_response_tokens
    text = size.text.num_parameters
    tokens = config.prompts_per_step * (prompt + stage.group_size * response)
    reference = 0.0
    if config.algorithm.kl_coef > 0:
        actors, threads = config.reference.num_actors, config.reference.num_threads
        devices = _devices(config.reference.num_gpus_per_actor, actors, threads, machine)
        reference = 2 * text * tokens / (speed.flops * use.train * devices)
        reference += traffic.reference_seconds(config, machine, size, tokens)
    weights = size.num_parameters * DTYPE_BYTES[config.model.dtype]
    sync = 2 * weights / TRANSPORT_BYTES_PER_SECOND
    transport = config.rollout.weight_transport
    if transport in BROADCAST_BYTES_PER_SECOND:
        sync = weights / BROADCAST_BYTES_PER_SECOND[transport]
    if transport == "ipc":
        sync = weights / (speed.bytes_per_second * use.bandwidth)
    return StepSeconds(
        generate=_generate(config, machine, size, speed, use, stage, prompt),
        reference=reference,
        train=_train(config, machine, size, speed, use, tokens),
        sync=sync,
    )


def _generate(
    config: RunConfig,
    machine: Machine,
    size: ModelSize,
    speed: Speed,
    use: Use,
    stage: StageConfig,
    prompt: float,
) -> float:
    rollout, text = config.rollout, size.text.num_parameters
    engines = rollout.num_engines
    each = [rollout.of_engine(index) for index in range(engines)]
    parallel = fmean(one.tensor_parallel_size for one in each)  # dealt by size, all end together
    gpus = fmean(one.num_gpus_per_engine for one in each)
    own = _devices(gpus, engines, rollout.num_threads, machine) / engines
    responses = config.prompts_per_step * stage.group_size / engines
    tokens = responses * RESPONSE_SHARE * stage.max_response_tokens
    at_once = min(responses, rollout.max_num_seqs)
    steps = max(stage.max_response_tokens, tokens / at_once)
    weights = size.num_parameters * DTYPE_BYTES[config.model.dtype] / parallel
    a_step = use.step_seconds + weights / (speed.bytes_per_second * use.bandwidth)
    context = prompt + 0.5 * RESPONSE_SHARE * stage.max_response_tokens
    cache = size.text.kv_bytes_per_token(DTYPE_BYTES[config.model.dtype]) * context / parallel
    a_token = (
        use.sequence_seconds
        + 2 * text / (speed.flops * use.decode * own)
        + cache / (speed.bytes_per_second * use.bandwidth)
    )
    prefill = (
        2 * text * prompt * config.prompts_per_step / engines / (speed.flops * use.train * own)
    )
    return steps * a_step + tokens * a_token + prefill


def _train(
    config: RunConfig,
    machine: Machine,
    size: ModelSize,
    speed: Speed,
    use: Use,
    tokens: float,
) -> float:
    trainer, text = config.trainer, size.text.num_parameters
    passes = 6.0 + 2.0 * trainer.gradient_checkpointing
    updates = trainer.mini_batches_per_step if config.kind == "rl" else 1
    if config.algorithm.old_logprobs == "trainer":
        passes += 2.0 * (updates - 1) / updates
    devices = _devices(
        trainer.num_gpus_per_worker, trainer.num_workers, trainer.num_threads, machine
    )
    products = passes * text * tokens / (speed.flops * use.train * devices)
    return products + traffic.train_seconds(config, machine, size, tokens, num_updates=updates)


def _devices(gpus: float, actors: int, threads: int, machine: Machine) -> float:
    """Devices that work at once: GPUs, or cores, of which there are no more than the machine has."""
    if gpus > 0:
        return actors * gpus
    cores = (machine.cpus_per_node or actors * threads) * machine.num_nodes
    return float(min(actors * threads, cores))


def _cold_start_rows(
    config: RunConfig,
    machine: Machine,
    size: ModelSize,
    speed: Speed,
    row_tokens: float | None,
    num_demonstrations: int | None,
) -> Iterator[CheckRow]:
    use = GPU_USE if speed.is_gpu else CPU_USE
    length = row_tokens or 0.1 * min(config.data.cutoff_len, config.model.max_model_len)
    update = _train(config, machine, size, speed, use, config.prompts_per_step * length)
    yield CheckRow(
        name="cold start: an update, about",
        value=f"{readable(update)} ({length:,.0f} tokens a demonstration)",
        **_against_timeout(config, update),
    )
    if config.max_steps or num_demonstrations:
        updates = num_updates(config, num_demonstrations or 0)
        yield CheckRow(
            name="the run, about",
            value=f"{readable(updates * update)}, {counted(updates, 'update')}",
        )


def readable(seconds: float) -> str:
    """Seconds for people: 0.3 s, 45 s, 12 min, 4.5 h."""
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
