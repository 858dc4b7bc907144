"""Rows of prompts, by their lengths alone: for tests of who trains which."""

from hypothesis import strategies as st

from vr1_ray.types import TrainRow


def unit(name: str, *lengths: int, prompt: int = 2) -> list[TrainRow]:
    return [
        TrainRow(
            row_id=f"{name}/{i}",
            prompt_ids=(1,) * prompt,
            response_ids=(3,) * length,
            image_hashes=(name,),
        )
        for i, length in enumerate(lengths)
    ]


UNITS = st.lists(
    st.tuples(st.integers(1, 40), st.lists(st.integers(0, 120), min_size=1, max_size=9)),
    min_size=1,
    max_size=14,
)
