"""Data: rows of files become `Prompt` and `Demonstration`, checked before anything is started.

`prompts` reads the row schema of geometry3k (as Vision-R1-rl has it), `demonstrations` the sharegpt files
of Vision-R1-cold, `images` guards every picture, `sampler` gives the prompts in seeded, resumable order, and
`figure_math` writes the generated dataset. Images stay the bytes of their files: pixels are the business of
the model adapter. Nothing here loads torch.
"""

from vr1_ray.data.demonstrations import drop_overlong, load_demonstrations
from vr1_ray.data.prompts import limit_prompts, load_prompts
from vr1_ray.data.refusals import DataError
from vr1_ray.data.sampler import PromptSampler

__all__ = [
    "DataError",
    "PromptSampler",
    "drop_overlong",
    "limit_prompts",
    "load_demonstrations",
    "load_prompts",
]
