"""The parts of a config that `vr1 init` writes: `{name}` stands for what was found or chosen (commands/init.py)."""

HEAD = """\
# {what}, written by `vr1 init {name}` after a look at {source}.
#
#   vr1 check {name}.yaml     whether it will run and fit, in a table; nothing is started
#   vr1 run {name}.yaml       the run; after a stop the same command goes on from its last checkpoint
#
# Every key stands in vr1_ray/config/schema.py with its meaning; `key=value` behind a command overrides one for once.
"""

SHARED = """\
kind: {kind}
name: {name} # results are in runs/{name}
seed: 0

model:
  path: {model} # {model_note}
  max_model_len: {max_model_len} # tokens of a prompt and its response
  freeze_vision_tower: true # paper: frozen in the cold start, trained in RL
  freeze_projector: true

# {rows}
data:
{data}  max_prompt_tokens: {max_prompt_tokens} # {measured}; longer ones are left out and counted
{columns}
checkpoint: {{every_steps: 5}} # what a run that was stopped goes on from

# For this machine without a GPU. On GPUs take these sections from a file of configs/vision_r1/.
trainer: {{num_workers: 1, num_cpus_per_worker: 0.25, optimizer: {{lr: {lr}, schedule: cosine}}}}
"""

MACHINES = """\
rollout: {num_engines: 1, num_cpus_per_engine: 0.25, kv_cache_gib: 0.25}
reward_pools: {default: {num_actors: 1, num_cpus_per_actor: 0.1}}
reference: {num_actors: 1, num_cpus_per_actor: 0.2}

# 1 for a response whose format and answer are both right, else 0. Your own: {name: "my_rewards.py:is_short", weight: 0.1}
rewards: [{name: hard_format}]
"""

RL = """\
prompts_per_step: {prompts}
curriculum: # PTST: short responses in large groups first, then longer ones in smaller groups
  stages:
    - {{max_response_tokens: {first_cap}, group_size: 16, steps: 10}}
    - {{max_response_tokens: {last_cap}, group_size: 8, steps: 10}}
"""

SFT = """\
prompts_per_step: {prompts} # demonstrations of an update
num_epochs: 2
"""

BOTH = """\
steps:
  cold_start: # learns to think as the demonstrations do
    kind: sft
    data: {{demonstrations: [{source}]}}
    trainer: {{optimizer: {{lr: {sft_lr}}}}}
{sft}
  rl: # learns from right and wrong
    kind: rl
    model: {{path: "${{runs_folder}}/${{name}}/cold_start/policy"}}
    data: {{train: {source}}}
{rl}"""
