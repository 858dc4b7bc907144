"""What the scripted reasoner says when it errs, and how often it does (`rehearsal_server.py`).

The phrasings of each fault fall in two halves by a fixed shuffle. The rules of rules.yaml were written before
this list, from the paper's examples; afterwards only the half "seen" may be looked at to better them, and the
quickstart counts on the half "unseen".

`{answer}` is the right answer, `{wrong}` a wrong one.
"""

from random import Random

# Of all requests of a kind; what remains is good. A fault of the connection comes on top, at the first attempt.
REASONER_FAULTS = {
    "wrong_answer": 0.15,
    "leaked_answer": 0.05,
    "no_image": 0.05,
    "contradiction": 0.05,
    "looping": 0.025,
    "unterminated": 0.025,
}
MLLM_MISREAD = 0.05  # a figure misread; the reasoner that has the answer is right all the same
CONNECTION_FAULT = (
    0.05  # of first attempts: an error status, no reply in time, or a reply that is none
)
LASTING_FAULT = 0.05  # of these: every attempt fails
SPEAKS_OF_DESCRIPTION = 0.5  # of chains with a second look: words that the rewrites have to mend

PHRASES: dict[str, tuple[str, ...]] = {
    "leaked_answer": (
        "The given answer is {answer}, so that should be where this ends.",
        "I was told the answer is {answer}, let me see how to get there.",
        "Since the correct answer is {answer}, the count has to come out like that.",
        "The question says the correct answer is {answer}.",
        "The provided answer of {answer} fits this.",
        "We already know the answer, {answer}, so I only need to justify it.",
        "It matches the given answer {answer}.",
        "According to the answer key this is {answer}.",
        "The user stated that the right answer is {answer}, so I trust that.",
        "Working backwards from the answer {answer}, this makes sense.",
        "The prompt mentions that the answer is {answer}.",
        "My reading agrees with the expected answer, {answer}.",
        "The reference solution is {answer}, which I should reach.",
        "The answer supplied with the question is {answer}.",
        "Knowing that the correct answer is {answer}, I can shorten this.",
        "It is supposed to be {answer}, as the answer was supplied.",
    ),
    "no_image": (
        "I can't see the image, so I have to trust the words.",
        "Since no picture is attached, I take the layout from the text.",
        "The image isn't provided here, so this is a guess.",
        "Without seeing the figure I can't be sure.",
        "As described above, the layout is clear.",
        "As stated in the description, that is how they stand.",
        "There is no image available to me.",
        "The original image data isn't here.",
        "I don't have access to the picture itself.",
        "Going by the text, this is the arrangement.",
        "I only have the description to go on.",
        "The picture was not included, so I rely on what I have.",
        "I am unable to view the diagram.",
        "As mentioned in the caption, these are the shapes.",
        "As a text-only model I work from the words.",
        "I can't confirm this without the drawing.",
    ),
    "contradiction": (
        "So the answer is {wrong}.",
        "I'll go with {wrong}.",
        "That makes {wrong}.",
        "The result is {wrong}.",
        "So in total it comes to {wrong}, and the answer should be {wrong}.",
        "Therefore I conclude it is {wrong}.",
        "I settle on {wrong}.",
        "So {wrong} is the answer.",
        "Thus the final answer must be {wrong}.",
        "I would say {wrong}.",
        "My answer is therefore {wrong}.",
        "I stick with {wrong}.",
    ),
    "looping": (
        "Wait, let me look once more at the middle row.",
        "But is that right? Let me count the shapes again.",
        "Hmm, I should check the top row again.",
        "Let me verify that once more from the start.",
        "No, that can't be. Let me begin again.",
        "Hold on, did I skip one of them?",
    ),
    "describing": (
        "The description says:",
        "The image description mentions this:",
        "According to the description:",
        "From the description:",
        "The description states:",
        "The figure description tells us:",
    ),
}


def phrases(fault: str, half: str) -> list[str]:
    """The phrasings of one half, "seen" or "unseen"."""
    shuffled = list(PHRASES[fault])
    Random(f"halves of {fault}").shuffle(shuffled)
    middle = len(shuffled) // 2
    return shuffled[:middle] if half == "seen" else shuffled[middle:]
