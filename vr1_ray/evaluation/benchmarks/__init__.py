"""The published benchmarks, one file each: how their rows are read and what a response is worth."""

BENCHMARKS: dict[
    str, str
] = {  # as text: a benchmark's file is imported only where a config asks for it
    "mathvista": "vr1_ray.evaluation.benchmarks.mathvista:MathVista",
    "mathverse": "vr1_ray.evaluation.benchmarks.mathverse:MathVerse",
    "mm_math": "vr1_ray.evaluation.benchmarks.mm_math:MMMath",
    "dynamath": "vr1_ray.evaluation.benchmarks.dynamath:DynaMath",
    "we_math": "vr1_ray.evaluation.benchmarks.we_math:WeMath",
    "math_vision": "vr1_ray.evaluation.benchmarks.math_vision:MathVision",
    "geometry3k": "vr1_ray.evaluation.benchmarks.geometry3k:Geometry3K",
    "mmstar": "vr1_ray.evaluation.benchmarks.mmstar:MMStar",
    "chartqa": "vr1_ray.evaluation.benchmarks.chartqa:ChartQA",
    "mme": "vr1_ray.evaluation.benchmarks.mme:MME",
    "hallusion_bench": "vr1_ray.evaluation.benchmarks.hallusion_bench:HallusionBench",
}
