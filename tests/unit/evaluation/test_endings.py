"""How people and models end a response, English and Chinese: the answer that is found, and by which table."""

import pytest

from vr1_ray.evaluation import find_answer
from vr1_ray.evaluation.extraction import MAX_WHOLE_CHARS, number_of

LONG = (
    "To solve this we look at the figure. The triangle has two equal sides, and the angle at the top measures half of "
    "the one at the base. Adding all three and using what is known of triangles gives one equation in one variable, "
    "which we solve step by step.\n\n"
)
LETTERS = [
    "The answer must be C.",
    "The answer should be option C.",
    "The correct answer would be (C).",
    "The answer to the question is C.",
    "The answer is therefore C.",
    "The answer: **C**",
    "**Answer:** C",
    "**Answer**: C. 145°",
    "**Answer: C**",
    "Answer: (C) 145°",
    "Ans: C",
    "Ans. C",
    "ANSWER: C",
    "Answer - see below.\n\n**Final Answer**\n\nC",
    "### Final Answer\n\nC",
    "### Answer:\n**C. 145°**",
    "**Answer:**\n\nC. 145°",
    "## Conclusion\n\nTherefore, the correct option is C.",
    "Hence, option C is correct.",
    "Therefore, option (C) is the correct answer.",
    "So choice C must be true.",
    "C is the correct answer.",
    "(C) is correct.",
    "**C** is the correct choice.",
    "The correct option is C.",
    "The correct choice is therefore (C).",
    "The best choice is C.",
    "I choose C.",
    "I would go with option C.",
    "We select C.",
    "So we pick (C).",
    "This corresponds to option C.",
    "which matches choice (C).",
    "which is option C.",
    "**C. 145°**",
    "C. 145°",
    "(C) 145°",
    "C",
    "**C**",
    "#### C",
    "<Thought process>: <<the sum>> <Answer>: <<C>>",
    "<Answer>: <C>",
    "<Answer> C </Answer>",
    '{"solution": "we add", "short answer": "C"}',
    '```json\n{"answer": "C"}\n```',
    "Final answer - C",
    "Answer (C)",
    "Option C",
    "Thus C is the answer.",
    "The correct response is C.",
    "So it's C.",
    "The angle is **145°**, which corresponds to option **C**.",
    "The answer is C.\n\nI hope this helps!",
    "【答案】C",
    "由此可知选C。",
    "选择C选项。",
    "答案：C",
    "答案是C。",
    "答案为 C",
    "正确答案是C",
    "最终答案：C",
    "故选C。",
    "故选：C",
    "因此选 C。",
    "所以选择C",
    "应选C。",
    "选C",
    "本题选C。",
    "正确选项是C",
    "故选项C正确。",
    "C项正确。",
]
NUMBERS = [
    "Thus, x = 14.",
    "So x = 14.",
    "Hence $x = 14$.",
    "Therefore, the perimeter is 14 cm.",
    "So the value of x is 14.",
    "The value of x is 14.",
    "∴ x = 14",
    "This gives x = 14.",
    "We get x = 14.",
    "which means that x equals 14.",
    "Therefore, there are 14 apples.",
    "The sum turns out to be 14.",
    "In conclusion, the total is 14 apples.",
    "The area is 7 + 7 = 14, so the area is 14.",
    "### Final Answer\n\n14",
    "### Final Answer\nThe perimeter is 14 cm.",
    "**Final Answer:**\n\n$14$",
    "#### 14",
    "Answer: 14 cm",
    "The answer is 14. This is the sum of both.",
    "The answer for part (a) is 14.",
    "The final result is 14.",
    "The solution is x = 14.",
    "**14**",
    "$14$",
    "$$x = 14$$",
    "\\[ x = 14 \\]",
    "\\[\nx = 14\n\\]",
    '{"short answer": 14}',
    '{"short answer": "14.000"}',
    "Hence, 14 is the answer.",
    "Thus, x = 14.\n\nLet me know if you need more help!",
    "So x = 14. Hope this helps!",
    "Therefore, x = 14. This is the value that was asked for.",
    "Therefore, the final answer is:\n\n14",
    "答案：14",
    "故答案为：14。",
    "答：周长是14厘米。",
    "因此，周长为14。",
    "所以 x = 14。",
    "即 x = 14.",
]


@pytest.mark.parametrize("ending", LETTERS)
def test_the_letter_of_a_long_response_is_found(ending):
    found = find_answer(LONG + ending)
    assert found.text.strip("()").startswith("C"), found
    assert found.how not in ("no answer found", "whole response")


@pytest.mark.parametrize("ending", NUMBERS)
def test_the_number_of_a_long_response_is_found(ending):
    found = find_answer(LONG + ending)
    assert number_of(found.text) == 14, found


@pytest.mark.parametrize(
    "ending",
    [
        "I can't tell from this picture what the value might be, so please send a clearer one.",
        "A. 135°\nB. 140°\nC. 145°\nD. 150°",  # the options again
        "This is a difficult question that I am afraid nobody could settle without knowing the length of one side.",
        "",
    ],
)
def test_what_concludes_nothing_is_no_answer(ending):
    found = find_answer(LONG + ending)
    assert len(LONG) > MAX_WHOLE_CHARS
    assert (found.text, found.how, found.is_final) == ("", "no answer found", False)


@pytest.mark.parametrize(
    ("response", "text"),
    [
        ("The answer is A. Wait, that is wrong. The answer is C.", "C"),
        ("Option A is correct? No. Hence, option C is correct.", "C"),
        (
            "Solution: We first add the sides of the triangle to get 7.\n" + LONG + "Thus, x = 14.",
            "x = 14",
        ),
        ("The answer is found by adding both.\n" + LONG + "Thus, x = 14.", "x = 14"),
        ('<answer>{"solution": "s", "short answer": "B"}</answer>', "B"),
        ("The answer is 3.\n\nLet me check again.\n\n### Final Answer\n\n14", "14"),
        ("<think> the answer is 3 </think> So it is 14, the answer: 14", "14"),
        ("<think> the answer is 3 </think> 14", "14"),
        ("<think> the answer is 3 </think>", "3"),
        ("Yes, the two circles are of the same size.", "Yes, the two circles are of the same size"),
        (LONG.replace("To solve this", "No, to solve this"), "No"),
    ],
)
def test_the_last_mark_counts_and_what_follows_the_thought(response, text):
    assert find_answer(response).text == text


def test_a_conclusion_is_not_the_last_word_and_a_mark_is():
    assert find_answer(LONG + "The answer is 14.").is_final
    assert not find_answer(LONG + "Thus, x = 14.").is_final


def test_all_boxes_of_the_answer_are_kept_in_order():
    assert find_answer(r"(1) \boxed{3} (2) \boxed{\frac{1}{2}}").boxes == ("3", r"\frac{1}{2}")
    assert find_answer(r"<think> \boxed{1} </think> \boxed{2}").boxes == ("2",)
    assert find_answer(r"<answer> \boxed{2}, \boxed{4} </answer>").boxes == ("2", "4")
    assert find_answer("<answer> 2 </answer>").boxes == ()


@pytest.mark.parametrize(
    "mark", ["the answer is ", "option C is ", "####", "\n\n", "<answer>", "选", "\\boxed{"]
)
def test_a_long_response_of_marks_alone_is_read_at_once(mark):
    assert isinstance(find_answer(mark * 3000).text, str)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("14 (fourteen)", 14), ("14 [fourteen]", 14), ("14（十四）", 14), ("14 (about)", 14), ("14 (14.0)", 14),
        ("14 apples (red ones)", 14), ("24 cm (2 x 12)", 24), ("x = 14", 14), ("y = 2x", None), ("3(4)", 12),
        ("2(3+4)", 14), ("12 (5 + 7)", 12), ("2 (3 + 4)", 14), ("(14)", 14), ("the sum is 14", 14),
    ],
)  # fmt: skip
def test_a_remark_in_brackets_is_no_factor_and_a_name_no_value(text, value):
    assert number_of(text) == value


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        ("The answer is 24.\n\nNote that the answer is in cm.", "24"),
        ("The answer is 24.\nThis result is consistent with the figure.", "24"),
        ("The answer is 24.\n\nThe result is the same by the area formula.", "24"),
        ("The answer is 24 cm. The solution is complete.", "24 cm"),
        ("The answer is 24. The option is correct.", "24"),
        ("The answer is 24!", "24"),
        ('{"answer": 24, "explanation": "the answer is not 5"}', "24"),
        ("The answer is \\boxed{24} cm, i.e. the area is 8 times 3.", "24"),
        ("The answer is C. Choice B is wrong because it is 5.", "C"),
        ("The correct answer is C. The other options are incorrect: A is 5, B is 7.", "C"),
        ("The best option is C; option D is not possible.", "C"),
        ("We choose option A if it is true. It is false. So C.", "C"),
    ],
)
def test_what_is_said_of_an_answer_is_not_the_answer(ending, text):
    assert find_answer(LONG + ending).text == text


def test_a_remark_on_an_answer_is_read_where_nothing_else_answers():
    assert find_answer(LONG + "The result is the same.").text == "the same"
