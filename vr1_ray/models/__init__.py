"""Families of vision-language models: what must be known of each (`ModelAdapter`), in one explicit table.

To add one, see the example in `base.py`; the row below is all the rest of the code needs. One kept outside the
package is named in the YAML (`model.adapter`) as `package.module:Name`.
"""

from vr1_ray.config import ModelConfig
from vr1_ray.config.model_path import check_model_path
from vr1_ray.config.tables import find
from vr1_ray.models.base import (
    ModelAdapter,
    ModelBatch,
    RenderedPrompt,
    check_no_control_token,
)
from vr1_ray.models.qwen2_5_vl import Qwen25VLAdapter
from vr1_ray.models.qwen2_vl import Qwen2VLAdapter
from vr1_ray.models.qwen3_vl import Qwen3VLAdapter
from vr1_ray.models.text import TextAdapter

MODELS: dict[str, type[ModelAdapter]] = {  # `model_type` of config.json -> adapter
    "qwen2_5_vl": Qwen25VLAdapter,
    "qwen2_vl": Qwen2VLAdapter,
    "qwen3_vl": Qwen3VLAdapter,
    "qwen2": TextAdapter,
    "qwen3": TextAdapter,
}

WITHOUT = {  # types that people ask for -> why they have no row
    "mllama": "vLLM runs no Llama 3.2 Vision after 0.10.2, and its cross-attention is not packed here",
    "gemma3": "tokens of its images see one another both ways, and packed attention here is causal",
    "qwen3_5": "its linear attention carries a state over a whole sequence, so that groups can't be packed",
    "qwen3_vl_moe": "mixtures of experts were not tried here",
    "internvl": "its adapter is an example, model.adapter=examples/custom_model/internvl.py:InternVLAdapter",
}

__all__ = ["MODELS", "ModelAdapter", "ModelBatch", "RenderedPrompt", "load_adapter"]


def load_adapter(config: ModelConfig) -> ModelAdapter:
    """The adapter that `model.adapter` names, else that of the model type in `config.path`'s config.json.

    Loads no weights.

    Raises ValueError with field, value and cure if the folder can't be read or the family is unknown.
    """
    model_type = _model_type(config)
    if not config.adapter and model_type not in MODELS:
        why = f" ({WITHOUT[model_type]})" if model_type in WITHOUT else ""
        raise ValueError(
            f"model.path={config.path!r}: no adapter for model type {model_type!r}{why}; known: {', '.join(sorted(MODELS))}. "
            "Take one of these, or name your own in model.adapter as package.module:Name."
        )
    found = find(MODELS, config.adapter or model_type, "model.adapter", kind=ModelAdapter)
    try:
        adapter: ModelAdapter = found(config)
    except (OSError, ValueError, KeyError, ImportError, TypeError) as error:
        raise ValueError(
            f"model.path={config.path!r}: its tokenizer or processor can't be loaded ({_first_line(error)}). "
            "The folder must hold what save_pretrained of model AND processor writes."
        ) from error
    tokens = adapter.control_tokens
    check_no_control_token(config.system_prompt or "", tokens, "model.system_prompt")
    return adapter


def _model_type(config: ModelConfig) -> str:
    check_model_path(config.path)
    from transformers import AutoConfig

    try:
        found = AutoConfig.from_pretrained(
            config.path, revision=config.revision, trust_remote_code=config.trust_remote_code
        )
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"model.path={config.path!r}: can't be read ({_first_line(error)}). Give a folder in Hugging Face "
            "format or a hub name that can be reached."
        ) from error
    return str(found.model_type)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
