"""The scripted minds of the rehearsal."""

from vr1_ray.figure_math.rehearsal_script import reason

DESCRIPTION = "The image holds a figure. Bars: red 3, blue 5, green 7."
QUESTION = "How high is the red bar?"


def chains():
    text = f"{DESCRIPTION}\n{QUESTION}\n(The correct answer is 3.)"
    return [reason(text, seed, None, "seen") for seed in range(200)]


def test_a_reasoner_says_the_same_to_the_same_request_and_seed():
    assert chains() == chains()


def test_a_good_chain_opens_as_a_demonstration_does_and_speaks_of_its_description_later():
    good = [said.thought for said in chains() if not said.fault]
    openings = ("Okay, let's see. Bars:", "Okay, let's see. The answer is")
    assert all(thought.startswith(openings) for thought in good)
    speaking = [thought for thought in good if "description" in thought]
    assert len(good) // 5 < len(speaking) < len(good) // 2
    for thought in speaking:
        before, _, after = thought.partition("description")
        assert "The answer is" in before
        assert "Bars:" in after
