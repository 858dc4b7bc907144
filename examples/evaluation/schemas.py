"""Column types of the published parquet files, as pyarrow has them; sources in vr1_ray/evaluation (`schema_source`)."""

import pyarrow as pa

TEXT, WHOLE, REAL = pa.string(), pa.int64(), pa.float64()
IMAGE = pa.struct([("bytes", pa.binary()), ("path", TEXT)])
TEXTS = pa.list_(TEXT)


def _texts(*names: str) -> dict[str, pa.DataType]:
    return dict.fromkeys(names, TEXT)


SCHEMAS: dict[str, dict[str, pa.DataType]] = {
    "mathvista": {
        **_texts("pid", "question", "image"),
        "decoded_image": IMAGE,
        "choices": TEXTS,
        "unit": TEXT,
        "precision": REAL,
        **_texts("answer", "question_type", "answer_type"),
        "metadata": pa.struct(
            [
                ("category", TEXT),
                ("context", TEXT),
                ("grade", TEXT),
                ("img_height", WHOLE),
                ("img_width", WHOLE),
                ("language", TEXT),
                ("skills", TEXTS),
                ("source", TEXT),
                ("split", TEXT),
                ("task", TEXT),
            ]
        ),
        "query": TEXT,
    },
    "mathverse": {
        **_texts("sample_index", "problem_index", "problem_version", "question"),
        "image": IMAGE,
        **_texts("answer", "question_type"),
        "metadata": pa.struct(
            [(name, TEXT) for name in ("split", "source", "subject", "subfield")]
        ),
        **_texts("query_wo", "query_cot", "question_for_eval"),
    },
    "dynamath": {
        **_texts("id", "question", "image"),
        "decoded_image": IMAGE,
        **_texts("ground_truth", "answer_type", "subject", "knowledge_level"),
    },
    "we_math": {
        **_texts("ID", "split", "knowledge concept", "question", "option", "answer"),
        "image_path": IMAGE,
        "key": TEXT,
        "question number": WHOLE,
        "knowledge concept description": TEXT,
    },
    "math_vision": {
        **_texts("id", "question"),
        "options": TEXTS,
        "image": TEXT,
        "decoded_image": IMAGE,
        **_texts("answer", "solution"),
        "level": WHOLE,
        "subject": TEXT,
    },
    "geometry3k": {
        "images": pa.list_(IMAGE),
        **_texts("problem", "answer"),
        "id": WHOLE,
        "choices": TEXTS,
        "ground_truth": TEXT,
    },
    "mmstar": {
        "index": WHOLE,
        "question": TEXT,
        "image": IMAGE,
        **_texts("answer", "category", "l2_category"),
        "meta_info": pa.struct([(name, TEXT) for name in ("source", "split", "image_path")]),
    },
    "chartqa": {**_texts("type", "question", "answer"), "image": IMAGE},
    "mme": {**_texts("question_id", "question", "answer", "category"), "image": IMAGE},
    "hallusion_bench": {
        **_texts("category", "subcategory", "visual_input", "set_id", "figure_id", "sample_note"),
        **_texts("question_id", "question", "gt_answer_details", "gt_answer", "filename"),
        "image": IMAGE,
    },
}
