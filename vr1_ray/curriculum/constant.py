"""One stage from the first step to the last: the paper's comparison runs "Zero" and "Long".

(Vision-R1, arXiv 2503.06749, section 4.3.)
"""

from vr1_ray.config import CurriculumConfig
from vr1_ray.curriculum.ptst import Ptst
from vr1_ray.wording import counted


class Constant(Ptst):
    """A single stage; more than one enabled stage is an error.

    Example:
        Constant(CurriculumConfig(stages=[StageConfig(max_response_tokens=16384, group_size=4, steps=300)]))
    """

    def __init__(self, config: CurriculumConfig) -> None:
        super().__init__(config)
        if len(self.stages) > 1:
            raise ValueError(
                f"curriculum.stages has {counted(len(self.stages), 'enabled stage')}, but curriculum.name='constant' takes "
                "one; disable the others, or take 'ptst'."
            )
