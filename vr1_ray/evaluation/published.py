"""Published figures, to stand beside ours: percent, by benchmark, score and model. From Vision-R1's Tables 1 and 2.

arXiv 2503.06749v4 (MathVerse "Vision Only" from the repository's README). They were made with protocol "paper": five
samples on a broken format, pictures of at most 512 pixels, a language model as extractor. So they flatter.
"""

_VISION_R1, _VISION_R1_32B, _VISION_R1_72B = "Vision-R1-7B", "Vision-R1-32B*", "Vision-R1-72B*"
_QWEN_7B, _GPT, _CI = (
    "Qwen2.5-VL-7B",
    "GPT-4o",
    "Vision-R1-LlamaV-CI-11B",
)
_LLAVA_COT, _LLAMA = "LLaVA-CoT-11B", "Llama-3.2-11B-V"

FOOTNOTE = "* trained with additional RL data"

PUBLISHED: dict[str, dict[str, dict[str, float]]] = {
    "mathvista": {
        _VISION_R1: {"overall": 73.5, "GEO": 80.3, "ALG": 79.0, "GPS": 83.2, "MWP": 80.6},
        _VISION_R1_32B: {"overall": 76.4, "GEO": 85.8, "ALG": 82.6, "GPS": 88.0, "MWP": 78.5},
        _VISION_R1_72B: {"overall": 78.2, "GEO": 88.3, "ALG": 86.8, "GPS": 89.4, "MWP": 79.6},
        _QWEN_7B: {"overall": 68.1, "GEO": 66.9, "ALG": 68.7, "GPS": 66.8, "MWP": 76.9},
        _GPT: {"overall": 63.8},
    },
    "mathverse": {
        _VISION_R1: {"overall": 52.4, "Vision Only": 46.7},
        _VISION_R1_32B: {"overall": 62.1, "Vision Only": 59.0},
        _VISION_R1_72B: {"overall": 63.2, "Vision Only": 57.9},
        _QWEN_7B: {"overall": 46.7, "Vision Only": 40.2},
        _GPT: {"overall": 37.6},
    },
    "mm_math": {
        _VISION_R1: {"overall": 40.2},
        _VISION_R1_32B: {"overall": 55.3},
        _VISION_R1_72B: {"overall": 59.3},
        _QWEN_7B: {"overall": 34.1},
        _GPT: {"overall": 31.8},
    },
    "dynamath": {
        _VISION_R1: {"average": 56.3},
        _VISION_R1_32B: {"average": 65.6},
        _VISION_R1_72B: {"average": 66.4},
        _QWEN_7B: {"average": 50.7},
        _GPT: {"average": 64.9},
    },
    "mmstar": {
        _CI: {"overall": 61.4},
        _LLAVA_COT: {"overall": 57.6},
        _LLAMA: {"overall": 49.8},
    },
    "chartqa": {
        _CI: {"overall": 83.9},
        _LLAVA_COT: {"overall": 81.9},
        _LLAMA: {"overall": 83.4},
    },
    "hallusion_bench": {
        _CI: {"overall (with picture)": 49.5},
        _LLAVA_COT: {"overall (with picture)": 47.8},
        _LLAMA: {"overall (with picture)": 40.3},
    },
}
