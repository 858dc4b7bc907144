"""Any cell written to JSONL or parquet comes back as it was; any number keeps its spelling."""

import json
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.data.inputs import outcome
from vr1_ray.data.json_cells import json_rows, written

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
# Control characters, as a lost backslash leaves them, are refused in answers (marks.py).
ANSWERS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30).map(
    lambda text: f"a{text}".strip()
)
NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
CELLS = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
DIGITS = st.integers(0, 10**20).map(str)
SPELLINGS = st.builds(
    lambda sign, whole, part, power: sign + whole + part + power,
    st.sampled_from(["", "-"]),
    DIGITS,
    st.just("") | DIGITS.map(lambda digits: f".{digits}"),
    st.just("") | st.sampled_from(["e5", "E+20", "e-7", "E400", "e00"]),
)


def of_file(name: str, content: str) -> list:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(content, encoding="utf-8", newline="")
        return list(json_rows(path))


@QUICK
@given(st.lists(st.dictionaries(TEXTS, CELLS, max_size=4), min_size=1, max_size=4), st.booleans())
def test_json_rows_come_back_as_json_has_them(rows, is_ascii):
    lines = "\n".join(json.dumps(row, ensure_ascii=is_ascii) for row in rows)
    whole = json.dumps(rows, ensure_ascii=is_ascii, indent=1)
    for found in (of_file("rows.jsonl", lines), of_file("rows.json", whole)):
        assert found == rows
        assert json.dumps(found) == json.dumps(rows)  # True is not 1, and 1 not 1.0


@QUICK
@given(SPELLINGS)
def test_a_number_is_written_as_its_file_spells_it(spelling):
    [row] = of_file("rows.jsonl", f'{{"x": {spelling}}}')
    assert written(row["x"]) == spelling
    assert float(row["x"]) == float(spelling)


@QUICK
@given(
    st.lists(
        st.one_of(ANSWERS, NUMBERS, st.booleans()),
        min_size=1,
        max_size=5,
    )
)
def test_answers_of_mixed_types_come_back_from_json_lines(cells):
    with tempfile.TemporaryDirectory() as folder:
        rows = [{"problem": "q", "answer": cell} for cell in cells]
        found = outcome("prompts", Path(folder), rows)
    assert [prompt.answer for prompt in found] == [str(cell) for cell in cells]


@QUICK
@given(
    st.one_of(
        st.lists(ANSWERS, min_size=1, max_size=4),
        st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4),
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=4),
        st.lists(st.booleans(), min_size=1, max_size=4),
        st.lists(st.decimals(-(10**9), 10**9, places=3), min_size=1, max_size=4),
        st.lists(st.dates(), min_size=1, max_size=4),
    )
)
def test_answers_of_one_type_come_back_from_parquet(cells):
    with tempfile.TemporaryDirectory() as folder:
        rows = [{"problem": "q", "answer": cell} for cell in cells]
        found = outcome("prompts", Path(folder), rows, ".parquet")
    assert [prompt.answer for prompt in found] == [str(cell) for cell in cells]


@QUICK
@given(st.lists(CELLS, min_size=1, max_size=4))
def test_other_columns_come_back_in_the_metadata(cells):
    with tempfile.TemporaryDirectory() as folder:
        rows = [{"problem": "q", "answer": "1", "note": cell} for cell in cells]
        found = outcome("prompts", Path(folder), rows, images_column="")
    assert [json.dumps(prompt.metadata["note"]) for prompt in found] == [
        json.dumps(c) for c in cells
    ]
