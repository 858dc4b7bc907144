"""How much memory the parts of a run take, in bytes, by arithmetic alone. Estimates, not measurements.

With T parameters, P of them trained, N ranks, w bytes a weight (2 in bfloat16, 4 in float32):

    weights      w T, under ZeRO-3 w T / N
    gradients    float32: 4 P / N under ZeRO-2 and 3, 4 P below; ZeRO-1 in bfloat16 keeps 2 P beside it
    optimizer    Adam's two moments, and a float32 master copy wherever ZeRO shards: 12 P / N; without ZeRO 8 P
    buffers      DeepSpeed's defaults: a bucket of 5e8 gradients, two where ZeRO-1 and 2 send one while the other
                 fills; under ZeRO-3 1e9 gathered parameters, all of them where activations are not checkpointed
                 (F.linear keeps the weight it saw for its backward pass)
    summed       with offload under ZeRO-2 in bfloat16: float32 sums of the rank's gradients, 4 P / N, until the step
    activations  per token: a layer's own (see `layer_elements`), of all layers; with checkpointing the
                 hidden state of each layer and one layer's own
    logits       `logprob_chunk_tokens` x vocabulary in float32, six times (value, softmax, gradients)

Offload moves the optimizer and, under ZeRO-2 and 3, the gradients to host memory. Attention counts as
flash or SDPA, which keep no T x T matrix. Left out: what CUDA and NCCL hold themselves, fragmentation.
Sources: ZeRO, arXiv 1910.02054, section 3; activations, arXiv 2205.05198, section 4; which copies DeepSpeed
0.19.8 keeps and what it saves was read from its source and from checkpoints of each stage.
"""

from dataclasses import dataclass

from vr1_ray.preflight.model_size import ModelSize, TextShape, VisionShape

GIB = 2**30
DTYPE_BYTES = {"float32": 4, "bfloat16": 2}
REDUCE_BUCKET = 500_000_000  # DeepSpeed's reduce_bucket_size, in elements
LIVE_PARAMETERS = 1_000_000_000  # DeepSpeed's stage3_max_live_parameters
LOGIT_BYTES = 24  # six float32 copies of one logit
ENGINE_RESERVE = 4 * GIB  # a choice: vLLM's activations and CUDA graphs
ENGINE_ASLEEP = (
    3 * GIB
)  # a choice: what an engine keeps without weights and cache, its graphs and CUDA's own
PIXEL_BYTES = (
    24  # float32, three channels, each frame twice (temporal patch): the processor's output
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainerMemory:
    """One rank: bytes on its device, and in host memory what is offloaded."""

    weights: float
    gradients: float
    optimizer: float
    buffers: float
    activations: float
    logits: float
    summed: float  # gradients on their way to an offloaded optimizer
    host: float

    @property
    def device(self) -> float:
        return self.at_rest + self.activations + self.logits + self.summed

    @property
    def at_rest(self) -> float:
        """Between two steps, when what torch cached was given back."""
        return self.weights + self.gradients + self.optimizer + self.buffers


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainerShape:
    """What of a config decides the trainer's memory."""

    num_ranks: int
    zero_stage: int  # as DeepSpeed gets it: bfloat16 makes 0 to 1
    dtype_bytes: int
    num_trained: int
    offloads: bool
    checkpoints_activations: bool
    micro_batch_tokens: int
    image_tokens: int  # of a micro-batch, merged vision tokens; 0 if the tower is frozen
    chunk_tokens: int
    overlaps: bool = False  # gradients travel while the backward pass goes on: on GPUs


def trainer_memory(size: ModelSize, shape: TrainerShape) -> TrainerMemory:
    """Memory of one trainer rank at its largest micro-batch."""
    w, n, stage = shape.dtype_bytes, shape.num_ranks, shape.zero_stage
    trained = shape.num_trained
    gradients = _gradient_bytes(shape)
    optimizer = 12 * trained / n if stage else 8 * trained
    host = 0.0
    if shape.offloads:
        host, optimizer = optimizer, 0.0
        if stage >= 2:
            host, gradients = host + gradients, 0.0
    return TrainerMemory(
        weights=w * size.num_parameters / (n if stage == 3 else 1),
        gradients=gradients,
        optimizer=optimizer,
        buffers=_buffer_bytes(size, shape),
        activations=activation_bytes(size, shape),
        logits=logit_bytes(size.text, shape.chunk_tokens),
        summed=_summed_bytes(shape),
        host=host,
    )


def _buffer_bytes(size: ModelSize, shape: TrainerShape) -> float:
    if not shape.zero_stage:
        return 0.0
    is_double = shape.overlaps and shape.zero_stage < 3
    elements = min(REDUCE_BUCKET, shape.num_trained) * (2 if is_double else 1)
    if shape.zero_stage == 3:
        elements += (
            size.num_parameters
            if not shape.checkpoints_activations
            else min(LIVE_PARAMETERS, size.num_parameters)
        )
    return float(elements * shape.dtype_bytes)


def _summed_bytes(shape: TrainerShape) -> float:
    is_summed_here = shape.offloads and shape.zero_stage == 2 and shape.dtype_bytes == 2
    return 4 * shape.num_trained / shape.num_ranks if is_summed_here else 0.0


def _gradient_bytes(shape: TrainerShape) -> float:
    if shape.zero_stage >= 2:
        return 4 * shape.num_trained / shape.num_ranks
    beside = shape.dtype_bytes if shape.zero_stage == 1 and shape.dtype_bytes == 2 else 0
    return (4 + beside) * shape.num_trained


def layer_elements(hidden: int, queries: int, keys: int, intermediate: int) -> int:
    """Elements one token keeps in one layer for the backward pass, counted in the weights' dtype.

    Two norms with their float32 input, output and the residual (8 hidden), queries before and after rotary
    and the attention's output, keys before and after rotary and values, gate, up, activation and product.
    """
    return 8 * hidden + 3 * queries + 3 * keys + 4 * intermediate


def activation_bytes(size: ModelSize, shape: TrainerShape) -> float:
    """Language model and, where its tower is trained, vision tower, at the largest micro-batch."""
    text = _stack_elements(size.text.num_layers, size.text.hidden, _text_elements(size.text), shape)
    total = shape.micro_batch_tokens * text
    if shape.image_tokens:
        vision = size.vision
        patch = _stack_elements(vision.num_layers, vision.hidden, _vision_elements(vision), shape)
        total += shape.image_tokens * vision.merge**2 * patch
    return float(total * shape.dtype_bytes)


def _stack_elements(num_layers: int, hidden: int, elements: int, shape: TrainerShape) -> int:
    return (
        num_layers * hidden + elements if shape.checkpoints_activations else num_layers * elements
    )


def _text_elements(text: TextShape) -> int:
    queries, keys = text.num_heads * text.head_dim, text.num_kv_heads * text.head_dim
    return layer_elements(text.hidden, queries, keys, text.intermediate)


def _vision_elements(vision: VisionShape) -> int:
    return layer_elements(vision.hidden, vision.hidden, vision.hidden, vision.intermediate)


def logit_bytes(text: TextShape, chunk_tokens: int) -> float:
    """Logits of one chunk of response positions, forward and backward."""
    return float(LOGIT_BYTES * chunk_tokens * text.vocab)


def reference_bytes(size: ModelSize, shape: TrainerShape, *, num_shards: int = 1) -> float:
    """One reference actor at work: one layer at a time, no gradient."""
    layer = shape.micro_batch_tokens * (_text_elements(size.text) + size.text.hidden)
    weights = reference_weight_bytes(size, shape, num_shards=num_shards)
    return weights + layer * shape.dtype_bytes + logit_bytes(size.text, shape.chunk_tokens)


def reference_weight_bytes(size: ModelSize, shape: TrainerShape, *, num_shards: int = 1) -> float:
    """One reference actor at rest: the whole model, or its part and what it gathers."""
    weights = size.num_parameters * shape.dtype_bytes / num_shards
    if num_shards > 1:
        weights += min(LIVE_PARAMETERS, size.num_parameters) * shape.dtype_bytes
    return weights


def engine_weight_bytes(size: ModelSize, *, dtype_bytes: int, tensor_parallel: int) -> float:
    """Weights on each of an engine's devices."""
    return size.num_parameters * dtype_bytes / tensor_parallel


def engine_kv_bytes(size: ModelSize, *, dtype_bytes: int, tensor_parallel: int) -> float:
    """KV cache of one token on each of an engine's devices; fewer KV heads than devices are repeated."""
    shards = min(tensor_parallel, size.text.num_kv_heads)
    return size.text.kv_bytes_per_token(dtype_bytes) / shards


def checkpoint_bytes(size: ModelSize, shape: TrainerShape) -> float:
    """One checkpoint: the policy's folder, and DeepSpeed's state of all ranks.

    Under ZeRO-3 DeepSpeed writes the frozen weights beside its 12 P, below it all weights.
    """
    w, total, trained = shape.dtype_bytes, size.num_parameters, shape.num_trained
    weights = w * (total - trained) if shape.zero_stage == 3 else w * total
    state = 12 * trained if shape.zero_stage else 8 * trained
    return float(w * total + weights + state)
