"""Yes and no in a word or a sentence, for compare_official.py: HallusionBench and MME."""

from collections.abc import Iterator

from official_pairs import Case


def hallusion_bench() -> Iterator[Case]:
    """Yes or no in a word or a sentence."""
    texts = (
        "Yes",
        "No",
        "yes.",
        "no!",
        "Yes, they are.",
        "No, they are not.",
        "The answer is yes.",
        "The answer is No",
        "Answer: Yes",
        "Yes and no.",
        "Maybe.",
        "I can't tell.",
        "They are the same, yes.",
        "**Yes**",
        "*No*.",
        "Yes, the right circle is the same size as the left one, as one can see by laying a ruler over both.",
        "No, the right circle is not of the same size as the left one, as a ruler shows.",
        "Final Answer: yes",
        "NO",
        "It is known that they look different, but laid side by side they are alike: yes",
    )
    for gold in "10":
        for category in ("VD", "VS"):
            row = {
                "category": category, "subcategory": "illusion", "set_id": "0", "figure_id": "1", "question_id": "0",
                "question": "Is it?", "gt_answer": gold, "gt_answer_details": "It is.",
            }  # fmt: skip
            for text in texts:
                yield row, text, text
                yield row, f"<think> I look. </think> {text}", text


def mme() -> Iterator[Case]:
    """Yes or no, in a word or at the beginning of a sentence, as its questions ask."""
    texts = (
        "Yes", "No", "yes.", "no.", "YES", "NO!", "Yes, there are two.", "No, there is one.", "Yes.\n", " no", "Yes - two of them.",
        "No: it is one.", "Yes, it is the Eiffel Tower in Paris, as one can see by its four feet and by the arch between them.",
        "No, the picture shows one dog only, lying to the left of a chair, and nothing that could be called another dog.",
        "The answer is yes.", "The answer is no.", "Nothing of the kind.", "Maybe.", "Yes and no.", "I can't tell.",
    )  # fmt: skip
    for answer in ("Yes", "No"):
        for category in ("count", "code_reasoning", "OCR", "color"):
            row = {
                "question_id": "1.png",
                "category": category,
                "answer": answer,
                "question": "Is it? Please answer yes or no.",
            }
            for text in texts:
                yield row, text, text
