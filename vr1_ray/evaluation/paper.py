"""Protocol "paper": how the harness released with Vision-R1 makes its figures, flaws and all. Pure functions.

What it does beside VLMEvalKit (evaluation/evalscope in Osilly/Vision-R1 @ c061681), and is repeated here:
- a reply without `</answer>` is asked for again, up to four times; the first with it counts, else the last: up to
  five samples for one question, which flatters a policy that breaks the format at random;
- images are shrunk to fit 512 x 512 and sent as JPEG;
- the text of `<answer> Final Answer:... </answer>` replaces the response only with exactly these spaces;
- the judge is called through the same wrapper, whose replies never hold `</answer>`: five calls, the last counts.

The judge is told what the harness's prompts say; demonstrations are as many, of the same kinds, with words of ours.
"""

import io
import re
from collections.abc import Callable, Generator
from dataclasses import replace

from vr1_ray.evaluation.base import JudgeRequest
from vr1_ray.types import EncodedImage, Prompt

MAX_ASKED = 5  # samples of a question, calls of a judge
IMAGE_SIZE = 512
_PREDICTION = re.compile(r"<answer> Final Answer:(.*?) </answer>", re.DOTALL)
TEMPERATURES = (0.0, 0.5, 1.0, 1.5, 2.0)


def wants_another(response: str) -> bool:
    """Whether the harness asks for this response again."""
    return "</answer>" not in response


def prediction_of(response: str) -> str:
    """What the harness scores of a response."""
    found = _PREDICTION.search(response)
    return found[1].strip() if found else response


def shrunk(prompt: Prompt) -> Prompt:
    """The prompt with its images as the harness sends them."""
    return replace(prompt, images=tuple(_shrink(image) for image in prompt.images))


def _shrink(image: EncodedImage) -> EncodedImage:
    picture = image.decode()
    picture.thumbnail((IMAGE_SIZE, IMAGE_SIZE))
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG")
    return EncodedImage.from_bytes(buffer.getvalue())


def judge_tries(
    text: str, *, accepts: Callable[[str], bool], system: str | None = None
) -> Generator[JudgeRequest, str | None, str]:
    """Ask the judge up to five times, hotter each time, until a reply will do; "" if none does."""
    for temperature in TEMPERATURES:
        reply = yield JudgeRequest(
            text=text, system=system, temperature=temperature, max_tokens=128, calls=MAX_ASKED
        )
        if reply is not None and accepts(reply):
            return reply
    return ""


_INTEGER = "Hint: Please answer the question requiring an integer answer and provide the final value, e.g., 1, 2, 3, at the end."
_ONE_PLACE = (
    "Hint: Please answer the question requiring a floating-point number with one decimal place and provide the "
    "final value, e.g., 1.2, 1.3, 1.4, at the end."
)
_TWO_PLACES = _ONE_PLACE.replace("one decimal place", "two decimal places").replace(
    "1.2, 1.3, 1.4", "1.23, 1.34, 1.45"
)
_LIST = (
    "Hint: Please answer the question requiring a Python list as an answer and provide the final list, e.g., "
    "[1, 2, 3], [1.2, 1.3, 1.4], at the end."
)
_LETTER = "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the end."
HINTS = {
    "choice": _LETTER, "integer": _INTEGER, "float 1": _ONE_PLACE, "float 2": _TWO_PLACES, "list": _LIST,
}  # fmt: skip
"""How MathVista's own prompts begin, by what is asked for."""
_MATHVISTA_DEMOS = (
    (_INTEGER, "How many squares are there?", "There are 14 squares in the picture.", "14"),
    (_ONE_PLACE, "Which share of the bar is red?", "The red share is 0.6, three fifths of it.", "0.6"),
    (_TWO_PLACES, "What do both pens cost? (Unit: $)", "Together the pens cost $1.45.", "1.45"),
    (_LIST, "In which two years was it highest?", "It was highest in 2007 and 2008.", "[2007, 2008]"),
    (_LETTER, "Which part is blue?\nChoices: (A) 3/11 (B) 8/11", "The blue part is (B) 8/11.", "B"),
)  # fmt: skip


def mathvista_extraction(question: str, prediction: str) -> str:
    """What the judge is asked to extract an answer of MathVista."""
    demos = "\n\n".join(
        f"{hint}\nQuestion: {text}\n\nModel response: {response}\n\nExtracted answer: {answer}"
        for hint, text, response, answer in _MATHVISTA_DEMOS
    )
    return (
        "Please read the following example.\nThen extract the answer from the model response and type it at the end "
        f"of the prompt.\n\n{demos}\n\n{question}\nModel respone: {prediction}Extracted answer:"
    )


_MATHVERSE_DEMOS = (
    ("Rounded to one decimal, the point is:\n\n(3, -1)", "(3, -1)"),
    ("So the option that names where the lines meet is:\n\nC. They meet at x = 2.", "C"),
    ("The circle at 2 is filled.\n\nDomain: [-1, 2]\nRange: (0, 5]", "Domain: [-1, 2]\nRange: (0, 5]"),
    ("Without the length of a side I can't tell which option is right.", "null"),
    ("d = 12.4 / cos(38°)\n\nTherefore the distance is about 15.7 metres.", "15.7"),
    ("The vertex and one point give\n\ng(x) = x^2 - 4x + 3", "g(x) = x^2 - 4x + 3"),
)  # fmt: skip
_COMPARISON_DEMOS = (
    ("Write the marked numbers as an interval.", "(-3, 2]", "(-3, 2)"),
    ("What is the chord?\nChoices:\nA:1\nB:2\nC:3\nD:4", "C", "B:2"),
    ("Find domain and range.", "domain: [-2, 0) and range: (-1, 1]", "Range: (-1, 1]"),
    ("What is the chord?\nChoices:\nA:1\nB:2\nC:3\nD:4", "C", "null"),
)


def mathverse_extraction(prediction: str) -> str:
    """What the judge is asked to extract an answer of MathVerse."""
    demos = "\n\n".join(
        f"{number}.\nModel response: '{response}'\nExtracted Answer: {answer}"
        for number, (response, answer) in enumerate(_MATHVERSE_DEMOS, start=1)
    )
    return (
        "I am providing you a response from a model to a math problem, termed 'Model Response'. You should extract the "
        "answer from the response as 'Extracted Answer'. Directly output the extracted answer with no explanation."
        f"\n\n{demos}\n\n7.\nModel response: '{prediction}'\nExtracted Answer: "
    )


def mathverse_comparison(question: str, answer: str, extracted: str) -> str:
    """What the judge is asked to compare two answers of MathVerse; all four demonstrations are of judgement 0."""
    demos = "\n\n".join(
        f"[Question]: {text}\n[Standard Answer]: {gold}\n[Model_answer] : {found}\nJudgement: 0"
        for text, gold, found in _COMPARISON_DEMOS
    )
    return (
        "Below are two answers to a math question. Question is [Question], [Standard Answer] is the standard answer to "
        "the question, and [Model_answer] is the answer extracted from a model's output to this question. Determine "
        "whether these two answers are consistent.\nPlease note that only when the [Model_answer] completely matches "
        "the [Standard Answer] means they are consistent. For non-multiple-choice questions, if the meaning is "
        "expressed in the same way, it is also considered consistent, for example, 0.5m and 50cm.\nIf they are "
        f"consistent, Judement is 1; if they are different, Judement is 0.\n\n{demos}\n\n[Question]: {question}\n"
        f"[Standard Answer]: {answer}\n[Model_answer] : {extracted}\nJudgement:"
    )


def option_matching(question: str, options: str, prediction: str) -> str:
    """What the judge is asked to match a response with an option (MMStar)."""
    return (
        "You are an AI assistant who will help me to match an answer with several options of a single-choice question. "
        "You are provided with a question, several options, and an answer, and you need to find which option is most "
        "similar to the answer. If the meaning of all options are significantly different from the answer, output Z. "
        "Output a single uppercase character: an option's letter, or Z.\n"
        "Example 1:\nQuestion: What is the toy?\nOptions: A. teddy bear B. rabbit C. cat D. dog\nAnswer: a cute teddy "
        "bear\nYour output: A\nExample 2:\nQuestion: What is the toy?\nOptions: A. teddy bear B. rabbit C. cat D. dog\n"
        f"Answer: Spider\nYour output: Z\nExample 3:\nQuestion: {question}\nOptions: {options}\nAnswer: {prediction}\n"
        "Your output: "
    )
