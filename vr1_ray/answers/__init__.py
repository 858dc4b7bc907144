"""Is an answer right? The checker that rewards, evaluation and bridging ask; it knows none of them.

answers_match(prediction, answer)      whether both say the same
compare(prediction, answer)            the same, and how that was decided
accuracy_of(response_text, answer)     for a whole response, with or without an <answer> block
"""

from vr1_ray.answers.matching import Verdict, accuracy_of, answers_match, compare

__all__ = ["Verdict", "accuracy_of", "answers_match", "compare"]
