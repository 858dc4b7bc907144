"""What was meant by a key that does nothing in a kind of run: the key, or the kind, that does that work there."""

_STAGES = "an RL run is as long as its curriculum: curriculum.stages[0].steps=N"
_LEARNS = "a cold start learns from demonstrations, without rewards: data.demonstrations"
_EPOCHS = "a cold start is as long as num_epochs or max_steps say"
_LATER = "a cold start is evaluated by a run of its own, of kind eval (a recipe has both as steps)"
_ALWAYS = "an evaluation evaluates model.path once"
_ASKED = "an evaluation asks the prompts of eval.data"
_KEEPS = "vr1 filter keeps prompts of data.train by filter.num_samples responses each"
_SOURCES = "bridging reads bridge.sources"
_SERVERS = "bridging asks the models of bridge.mllm and bridge.reasoner"
MEANT = {
    ("max_steps", "rl"): _STAGES,
    ("num_epochs", "rl"): _STAGES,
    ("data.demonstrations", "rl"): "RL learns from prompts: data.train",
    ("data.cutoff_len", "rl"): "prompts are limited by data.max_prompt_tokens",
    ("bridge.sources", "rl"): "RL learns from prompts: data.train",
    ("bridge.max_rows", "rl"): "data.max_rows limits the rows",
    ("bridge.max_image_pixels", "rl"): "data.max_image_pixels limits pictures",
    ("data.train", "sft"): _LEARNS,
    ("bridge.sources", "sft"): "a cold start reads what bridging wrote by data.demonstrations",
    ("bridge.max_rows", "sft"): "data.max_rows limits the rows",
    ("bridge.max_image_pixels", "sft"): "data.max_image_pixels limits pictures",
    ("data.max_prompt_tokens", "sft"): "demonstrations are limited by data.cutoff_len",
    ("data.overlong_prompts", "sft"): "longer demonstrations than data.cutoff_len are dropped",
    ("data.prompt_column", "sft"): "demonstrations are known by their columns, see data.demonstrations",
    ("data.answer_column", "sft"): "demonstrations are known by their columns, see data.demonstrations",
    ("trainer.mini_batches_per_step", "sft"): "a cold start makes one update of prompts_per_step",
    ("algorithm", "sft"): "a cold start always learns by cross-entropy",
    ("rewards", "sft"): _LEARNS,
    ("curriculum", "sft"): _EPOCHS,
    ("curriculum.stages", "sft"): f"{_EPOCHS}, and its longest row by data.cutoff_len",
    ("eval", "sft"): _LATER,
    ("checkpoint.keep_best", "sft"): "a cold start keeps the last ones: checkpoint.keep_last",
    ("data.train", "eval"): _ASKED,
    ("data.demonstrations", "eval"): _ASKED,
    ("data.split", "eval"): "the split of eval.data is eval.split",
    (
        "data.max_rows",
        "eval",
    ): "eval.max_prompts limits eval.data, eval.max_questions the benchmarks",
    ("max_steps", "eval"): "eval.max_prompts limits eval.data, eval.max_questions the benchmarks",
    ("num_epochs", "eval"): "eval.max_prompts limits eval.data, eval.max_questions the benchmarks",
    ("data.cutoff_len", "eval"): "prompts are limited by data.max_prompt_tokens",
    ("rollout.temperature", "eval"): "an evaluation samples at eval.temperature",
    ("rollout.top_p", "eval"): "an evaluation samples with eval.top_p",
    ("eval.start_label", "eval"): "the policy of an evaluation is named by eval.label",
    ("eval.at_start", "eval"): _ALWAYS,
    ("eval.at_end", "eval"): _ALWAYS,
    ("eval.every_steps", "eval"): _ALWAYS,
    ("curriculum", "eval"): "an evaluation's response budget is eval.max_response_tokens",
    ("filter.num_samples", "eval"): "responses a question of a benchmark are eval.num_samples",
    ("data.demonstrations", "filter"): _KEEPS,
    ("max_steps", "filter"): "data.max_rows limits the prompts",
    ("num_epochs", "filter"): "data.max_rows limits the prompts",
    ("data.cutoff_len", "filter"): "prompts are limited by data.max_prompt_tokens",
    ("eval.data", "filter"): _KEEPS,
    ("eval.split", "filter"): "the split of data.train is data.split",
    ("eval.max_prompts", "filter"): "data.max_rows limits the prompts",
    ("eval.num_samples", "filter"): _KEEPS,
    ("eval.temperature", "filter"): "it samples at rollout.temperature",
    ("eval.top_p", "filter"): "it samples with rollout.top_p",
    ("eval.max_response_tokens", "filter"): "the response budget is curriculum.stages[0].max_response_tokens",
    ("model", "bridge"): _SERVERS,
    ("rollout", "bridge"): f"{_SERVERS}; how these sample is bridge.reasoner.request",
    ("data", "bridge"): _SOURCES,
    ("data.max_rows", "bridge"): "bridge.max_rows limits the rows",
    ("data.max_image_pixels", "bridge"): "bridge.max_image_pixels limits pictures",
    ("data.image_root", "bridge"): "each source has its own: bridge.sources[0].image_root",
    ("eval.judge", "bridge"): _SERVERS,
    ("max_steps", "bridge"): "bridge.max_rows limits the rows",
    ("num_epochs", "bridge"): "bridge.max_rows limits the rows",
    ("data.max_rows", "figure_math"): "figure_math.num_train and its kin say how many are drawn",
    ("data.train", "figure_math"): "figure_math.folder is where the data is written",
}  # fmt: skip


def meant_by(key: str, kind: str) -> str:
    """What does that work in a run of the kind, where a key without effect has a counterpart there; else ""."""
    found = {start: cure for (start, of), cure in MEANT.items() if of == kind and begins(start, key)}  # fmt: skip
    return found[max(found, key=len)] if found else ""


def begins(start: str, key: str) -> bool:
    """Whether a key is the other one, or lies below it."""
    return key == start or key.startswith((f"{start}.", f"{start}["))
