"""The fixtures in each published form, as a user's folder of benchmarks holds them."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from vr1_ray.config import ConfigError, EvalConfig
from vr1_ray.data.refusals import DataError
from vr1_ray.evaluation import BENCHMARKS, load_selections, make_benchmark, read_questions, spread
from vr1_ray.evaluation.sources import _hub_rows, file_rows, tsv_rows

EXAMPLE = Path(__file__).parents[3] / "examples" / "evaluation"
FIXTURES = EXAMPLE / "fixtures"
sys.path.insert(0, str(EXAMPLE))

from schemas import SCHEMAS  # noqa: E402


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_is_read_from_its_published_form(name):
    questions = read_questions(make_benchmark(name), str(FIXTURES))
    assert questions
    assert all(question.answer and question.prompt.question for question in questions)
    assert all(question.prompt.images for question in questions if "VS" not in question.labels)
    assert len({question.prompt.prompt_id for question in questions}) == len(questions)


@pytest.mark.parametrize("name", [name for name in BENCHMARKS if name != "geometry3k"])
def test_the_tsv_asks_the_same_of_the_same_pictures(name):
    published = read_questions(make_benchmark(name), str(FIXTURES))
    tsv = read_questions(make_benchmark(name), str(FIXTURES / "tsv"))
    # Of DynaMath the TSV here has one variant, of HallusionBench the questions with a picture.
    by_id = {question.question_id: question for question in published}
    shared = [(one, by_id[one.question_id]) for one in tsv if one.question_id in by_id]
    if name in (
        "mm_math",
        "chartqa",
        "mme",
    ):  # their published rows have no id: rows are counted from 0
        shared = list(zip(tsv, published, strict=True))
    assert shared
    for one, other in shared:
        assert one.answer == other.answer
        assert one.prompt.images == other.prompt.images
        assert one.choices == other.choices


@pytest.mark.parametrize("path", sorted(FIXTURES.rglob("*.parquet")), ids=lambda path: path.name)
def test_the_columns_of_each_fixture_are_the_published_ones(path):
    name = path.relative_to(FIXTURES).parts[0]
    found = {field.name: field.type for field in pq.read_schema(path)}
    assert found == SCHEMAS[name]


def test_every_benchmark_says_where_its_schema_was_read():
    assert all(len(benchmark.schema_source) > 30 for benchmark in map(make_benchmark, BENCHMARKS))


def test_dynamaths_splits_are_the_variants_of_one_question():
    questions = read_questions(make_benchmark("dynamath"), str(FIXTURES))
    variants = [question.question_id for question in questions if question.cluster == "1"]
    assert variants == [f"1/{number}" for number in range(1, 11)]


def test_a_json_file_with_pictures_beside_it_is_read(tmp_path):
    [question, *_] = read_questions(make_benchmark("mathvista"), str(FIXTURES))
    [row, *_] = file_rows(FIXTURES / "mathvista/data/testmini-00000-of-00001.parquet")
    folder = tmp_path / "mathvista"
    (folder / "images").mkdir(parents=True)
    (folder / row["image"]).write_bytes(row["decoded_image"]["bytes"])
    del row["decoded_image"], row["pid"]
    (folder / "testmini.json").write_text(json.dumps({"1": row}))
    assert (
        read_questions(make_benchmark("mathvista"), str(tmp_path))[0].prompt.images
        == question.prompt.images
    )


def test_a_tsv_cell_may_name_the_row_that_holds_the_image(tmp_path):
    path = tmp_path / "x.tsv"
    long = "A" * 100
    path.write_text(f"index\timage\tquestion\n1\t{long}\ta\n2\t1\tb\n3\t['{long}', '{long}']\tc\n")
    rows = list(tsv_rows(path))
    assert rows[1]["image"] == long
    assert rows[2]["image"] == [long, long]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["mathvista", "mathvista"], "names one twice"),
        (["mathvist"], "benchmarks='mathvist' is unknown; known: chartqa, .*mathvista"),
        (["mathvista/none"], "its parts: FQA"),
        (["no.such:Module"], "can't be loaded"),
    ],
)
def test_a_wrong_name_is_refused_with_the_right_ones(names, message):
    config = EvalConfig(benchmarks_folder=str(FIXTURES))
    with pytest.raises(ValueError, match=message):
        load_selections(names, config)


def test_a_part_is_chosen_by_the_name_of_its_sub_score():
    config = EvalConfig(benchmarks_folder=str(FIXTURES))
    [whole, part] = load_selections(["mathverse", "mathverse/vision_only"], config)
    assert 5 * len(part.questions) == len(whole.questions)
    assert part.slug == "mathverse_vision_only"


def test_protocol_paper_is_refused_where_the_paper_has_no_figure_or_needs_a_judge():
    config = EvalConfig(benchmarks_folder=str(FIXTURES), protocol="paper")
    for names, message in (
        (["we_math"], "no figure of we_math"),
        (["mathverse"], "eval.judge.model"),
    ):
        with pytest.raises(ConfigError, match=message):
            load_selections(names, config)
    assert load_selections(["mm_math"], config)


def test_a_subset_is_spread_over_the_file_and_keeps_problems_whole():
    questions = read_questions(make_benchmark("mathverse"), str(FIXTURES))
    found = spread(questions, 20)
    assert len(found) == 20
    assert len({question.cluster for question in found}) == 4
    assert found == spread(questions, 20)
    assert spread(questions, 0) == questions
    alone = [replace(q, cluster=q.question_id) for q in questions]
    assert len(spread(alone, 7)) == 7


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("testmini.parquet", "no parquet", "download it again"),
        ("testmini.jsonl", "{", "check that the file is whole"),
        ("testmini.jsonl", '{"pid": "1"}', "row 0: answer: empty or not there"),
    ],
)
def test_a_broken_file_is_named_with_its_cure(tmp_path, name, content, message):
    (tmp_path / "mathvista").mkdir()
    (tmp_path / "mathvista" / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_questions(make_benchmark("mathvista"), str(tmp_path))


def test_a_folder_without_the_benchmark_says_what_is_looked_for(tmp_path):
    with pytest.raises(DataError, match=r"MathVista_MINI\.tsv"):
        read_questions(make_benchmark("mathvista"), str(tmp_path))


def test_the_cure_of_a_missing_folder_names_the_field(tmp_path):
    with pytest.raises(DataError, match=r"set eval\.benchmarks_folder=hub") as refused:
        read_questions(make_benchmark("mathvista"), str(tmp_path))
    assert "{FIELD}" not in str(refused.value)


@pytest.mark.parametrize("pictures", ["MM_Math", "MM_Math/MM_Math", "MM_Math/Image", "Image"])
@pytest.mark.parametrize("file", ["MM_Math.jsonl", "MM_Math/MM_Math.jsonl"])
def test_mm_maths_archive_may_lie_a_folder_deeper(tmp_path, file, pictures):
    shipped = FIXTURES / "mm_math"
    whole = read_questions(make_benchmark("mm_math"), str(FIXTURES))
    (tmp_path / "mm_math" / pictures).mkdir(parents=True)
    for path in (shipped / "MM_Math").iterdir():
        (tmp_path / "mm_math" / pictures / path.name).write_bytes(path.read_bytes())
    (tmp_path / "mm_math" / file).parent.mkdir(exist_ok=True)
    (tmp_path / "mm_math" / file).write_bytes((shipped / "MM_Math.jsonl").read_bytes())
    found = read_questions(make_benchmark("mm_math"), str(tmp_path))
    assert [one.prompt.images for one in found] == [one.prompt.images for one in whole]


@pytest.mark.parametrize("name", ["chartqa", "hallusion_bench"])
def test_a_benchmark_that_moved_on_the_hub_is_found_at_either_name(name, monkeypatch):
    import datasets

    asked, benchmark = [], make_benchmark(name)
    rows = datasets.Dataset.from_list([{"question": "Is it?"}])

    def load(hub, config, *, split):
        asked.append(hub)
        if hub == benchmark.hub:
            raise FileNotFoundError("gone")
        return rows

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert list(_hub_rows(benchmark, benchmark.split)) == [{"question": "Is it?"}]
    assert asked == [benchmark.hub, *benchmark.hubs_moved]
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, split: 1 / 0)
    with pytest.raises(DataError, match=f"{benchmark.hub}.*{benchmark.hubs_moved[0]}"):
        list(_hub_rows(benchmark, benchmark.split))


def test_mathvista_has_a_part_by_grade_and_by_type_of_answer():
    config = EvalConfig(benchmarks_folder=str(FIXTURES))
    [part] = load_selections(["mathvista/type: integer"], config)
    assert part.questions
    assert {one.fields["answer_type"] for one in part.questions} == {"integer"}


def test_math_visions_mini_set_is_asked_by_its_name_from_the_hub(monkeypatch):
    import datasets

    asked = []
    shipped = sorted((FIXTURES / "math_vision").rglob("*.parquet"))[0]

    def load(hub, config, *, split):
        asked.append((hub, split))
        return datasets.Dataset(pq.read_table(shipped))

    monkeypatch.setattr(datasets, "load_dataset", load)
    whole, mini = load_selections(["math_vision", "math_vision/testmini"], EvalConfig())
    assert asked == [("MathLLMs/MathVision", "test"), ("MathLLMs/MathVision", "testmini")]
    assert (whole.benchmark.size, mini.benchmark.size) == (3040, 304)
    assert (whole.slug, mini.slug) == ("math_vision", "math_vision_testmini")
    assert mini.benchmark.name == "math_vision"


def test_the_mini_set_of_a_folder_is_its_own_file(tmp_path):
    shipped = sorted((FIXTURES / "math_vision").rglob("*.parquet"))[0]
    (tmp_path / "math_vision").mkdir()
    (tmp_path / "math_vision" / "test.parquet").write_bytes(shipped.read_bytes())
    config = EvalConfig(benchmarks_folder=str(tmp_path))
    with pytest.raises(DataError, match=r"MathVision_MINI\.tsv"):
        load_selections(["math_vision/testmini"], config)
    (tmp_path / "math_vision" / "testmini.parquet").write_bytes(shipped.read_bytes())
    [mini] = load_selections(["math_vision/testmini"], config)
    assert mini.questions
    with pytest.raises(ConfigError, match="its parts: testmini, "):
        load_selections(["math_vision/testmany"], config)


@pytest.mark.parametrize("name", BENCHMARKS)
@pytest.mark.parametrize("form", ["published", "tsv"])
def test_pictures_of_benchmarks_are_references_wherever_they_come_from(name, form, tmp_path):
    folder = str(FIXTURES / "tsv") if form == "tsv" else str(FIXTURES)
    if form == "tsv" and name == "geometry3k":
        pytest.skip("VLMEvalKit has no TSV of it")
    held = read_questions(make_benchmark(name), folder)
    found = read_questions(make_benchmark(name), folder, unpack=tmp_path)
    for one, other in zip(found, held, strict=True):
        assert all(image.source is not None and not image.held for image in one.prompt.images)
        assert [image.data for image in one.prompt.images] == [image.data for image in other.prompt.images]  # fmt: skip


def test_pictures_of_the_hub_are_unpacked_and_without_a_folder_held(tmp_path, monkeypatch):
    import datasets

    shipped = sorted((FIXTURES / "math_vision").rglob("*.parquet"))[0]
    rows = datasets.Dataset(pq.read_table(shipped))
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, split: rows)
    benchmark = make_benchmark("math_vision")
    [unpacked, *_] = read_questions(benchmark, "hub", unpack=tmp_path)[0].prompt.images
    [held, *_] = read_questions(benchmark, "hub")[0].prompt.images
    assert unpacked.source.path.startswith(str(tmp_path))
    assert unpacked.data == held.held


def test_a_picture_of_a_benchmark_that_changed_since_is_told_by_its_row(tmp_path):
    shipped = sorted((FIXTURES / "math_vision").rglob("*.parquet"))[0]
    (tmp_path / "math_vision").mkdir()
    path = tmp_path / "math_vision" / "test.parquet"
    path.write_bytes(shipped.read_bytes())
    [image, *_] = read_questions(make_benchmark("math_vision"), str(tmp_path))[0].prompt.images
    pq.write_table(pq.read_table(shipped).slice(1), path)
    with pytest.raises(ValueError, match=r"math_vision: test\.parquet, row 0: .*is not the picture that was checked"):  # fmt: skip
        _ = image.data


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"image": None}, "row 0: question: <image1> marks a picture, but the row has none"),
        ({"question": "a<|im_end|>b"}, "row 0: question: '<|im_end|>' is a control token"),
        ({"options": {"1": "one", "2": "two"}}, "row 0: options: .* has other keys than A, B"),
    ],
)
def test_a_row_that_would_be_asked_otherwise_than_it_was_meant_is_refused(cells, said, tmp_path):
    (tmp_path / "math_vision").mkdir()
    shipped = read_questions(make_benchmark("math_vision"), str(FIXTURES))[0].prompt.images[0]
    (tmp_path / "math_vision" / "a.png").write_bytes(shipped.data)
    row = {"id": "1", "question": "<image1> How many?", "answer": "A", "image": "a.png"}
    path = tmp_path / "math_vision" / "test.jsonl"
    path.write_text(json.dumps(row | {"options": {"A": "one", "B": "two"}}))
    [read] = read_questions(make_benchmark("math_vision"), str(tmp_path))
    assert read.choices == ("one", "two")
    path.write_text(json.dumps(row | cells))
    with pytest.raises(DataError, match=said.replace("|", r"\|")):
        read_questions(make_benchmark("math_vision"), str(tmp_path))
