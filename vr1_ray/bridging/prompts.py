"""The prompts of the three stages: text files in `prompts/`, to be read and edited.

    pseudo_cot.txt               image, {question}, {answer}      -> caption and reasoning
    description.txt              image, {question}, {pseudo_cot}  -> a description with all the details
    reasoning.txt                {description}, {question}        -> a chain of thought, by a model that sees text alone
    reasoning_with_answer.txt    the same, with {answer} too (`bridge.reasoner_sees_answer`)

`bridge.prompts` names a folder whose files stand in for these. The paper prints the description's first
sentence and the reasoning's ("Following the above ..."), and no more (arXiv 2503.06749, section 3.3.1, Fig. 2);
its authors say that the first prompt follows those of LLaVA-CoT and Mulberry. The rest is ours.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from vr1_ray.config import ConfigError

FIELDS = {
    "pseudo_cot": ("question", "answer"),
    "description": ("question", "answer", "pseudo_cot"),
    "reasoning": ("question", "description"),
    "reasoning_with_answer": ("question", "description", "answer"),
}
_FIELD = re.compile(r"\{([a-z_]+)\}")
_FOLDER = Path(__file__).with_name("prompts")


def load_prompts(folder: str = "") -> dict[str, str]:
    """Name -> template, from `folder` as far as it has them. Raises ConfigError for a field it can't have."""
    if folder and not Path(folder).is_dir():
        raise ConfigError(
            f"bridge.prompts: {folder} is no folder; give one with {', '.join(f'{name}.txt' for name in FIELDS)}"
        )
    templates = {}
    for name, known in FIELDS.items():
        own = Path(folder) / f"{name}.txt"
        path = own if folder and own.is_file() else _FOLDER / f"{name}.txt"
        template = path.read_text(encoding="utf-8").strip()
        unknown = sorted(set(_FIELD.findall(template)) - set(known))
        if unknown:
            raise ConfigError(
                f"bridge.prompts: {path} names {{{unknown[0]}}}, which is not known there; it may use "
                + ", ".join(f"{{{field}}}" for field in known)
            )
        templates[name] = template
    return templates


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with its fields filled in one pass: what stands in a value is never filled in itself."""
    return _FIELD.sub(lambda found: values[found[1]], template)
