"""Data: rows of files become `Prompt` and `Demonstration`, each as it was given, or refused before anything is started.

    tables.py       where rows come from: files, folders, the hub       (json_cells.py: JSON with its spelling)
    forms.py        which columns hold what: a table of the forms people have
    rows.py         the one place where a row becomes a Prompt, for all three readers:
                    prompts.py, demonstrations.py, questions.py (`vr1 generate --input`)
    images.py       a cell -> a checked EncodedImage                    (picture_cells.py: what stands in a cell;
                    lost_pictures.py: pictures in other columns; stored.py: where a picture's bytes stand)
    reading.py      all rows of a source, in workers (workers.py) where they are many
    row_index.py    what was read before, so that a second start opens no picture
    marks.py        `<image>` marks and control tokens in texts
    references.py   a cell -> the reference answer that the checker reads
    refusals.py     DataError, and rows that are skipped (`data.bad_rows`)
    prompt_ids.py   what a prompt is known by
    sampler.py      prompts in seeded, resumable order                  (ahead.py: what the next step needs)
    blindness.py    does a policy look at its pictures: the arithmetic (swapped_pictures.py: prompts with wrong ones)

To read another form, add a row to `FORMS` in forms.py; another kind of folder, a row to `_FOLDERS` in tables.py.
A picture is a reference to where its bytes stand, read where it is used (`vr1_ray/encoded_image.py`); what picture
they are is said in `vr1_ray/pictures.py`. Nothing loads torch.
"""

from vr1_ray.data.ahead import Ahead
from vr1_ray.data.demonstrations import drop_overlong, load_demonstrations
from vr1_ray.data.prompts import limit_prompts, load_prompts
from vr1_ray.data.refusals import DataError
from vr1_ray.data.sampler import PromptSampler

__all__ = [
    "Ahead",
    "DataError",
    "PromptSampler",
    "drop_overlong",
    "limit_prompts",
    "load_demonstrations",
    "load_prompts",
]
