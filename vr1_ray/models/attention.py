"""Which attention kernels a policy runs on: `model.attention`, with "auto" decided where the model is loaded."""

from vr1_ray.config import ModelConfig


def chosen_attention(config: ModelConfig) -> str:
    """transformers' name of the attention for this process, for language model and vision tower alike.

    "auto" is flash-attention where it is installed, a GPU is there and the weights are bfloat16, which it needs;
    else torch's own SDPA. The vision tower has most of it: SDPA makes a call for every window of every image, 700 to
    2,300 of them an image of 0.26 to 1 megapixel, flash-attention one a block.
    """
    if config.attention != "auto":
        return config.attention
    from transformers.utils import is_flash_attn_2_available

    is_half = config.dtype == "bfloat16"
    return "flash_attention_2" if is_half and is_flash_attn_2_available() else "sdpa"
