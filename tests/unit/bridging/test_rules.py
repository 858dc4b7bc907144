"""The rules: their own examples, sound demonstrations, and phrasings they were not written from."""

from random import Random

import pytest

from tests.unit.bridging.builders import reply
from vr1_ray.bridging.prompts import fill, load_prompts
from vr1_ray.bridging.rows import Reply
from vr1_ray.bridging.rules import load_rules, run_examples
from vr1_ray.config import ConfigError
from vr1_ray.figure_math.dataset import random_items
from vr1_ray.figure_math.drawing import read_out
from vr1_ray.figure_math.questions import solve
from vr1_ray.figure_math.rehearsal_script import reason
from vr1_ray.figure_math.rehearsal_words import PHRASES, phrases
from vr1_ray.figure_math.thoughts import thoughts

BOOK = load_rules()


def judge(thought, final="Final Answer:2", answer="2", question="How wide?", **fields):
    return BOOK.judge(reply(final, thought, **fields), number=0, question=question, answer=answer)


def test_every_example_of_every_rule_comes_out_as_it_says():
    assert list(run_examples(BOOK)) == []


def test_every_rule_has_examples_of_both_kinds_and_every_rewrite_has_one():
    assert all(rule.examples.get("drop") and rule.examples.get("keep") for rule in BOOK.rules)
    assert all(rewrite.examples for rewrite in BOOK.rewrites)


def test_no_demonstration_of_the_quickstart_is_dropped():
    for figure, question, _ in random_items("demonstrations", 3, 100):
        answer = solve(question, figure)
        thought = thoughts(question, figure, Random(question.text))
        candidate = judge(thought, f"Final Answer:{answer}", answer, question.text)
        assert candidate.dropped_by == (), thought
        assert candidate.thought == thought


@pytest.mark.parametrize("half", ["seen", "unseen"])
def test_chains_of_the_scripted_reasoner_are_told_apart(half):
    # Of each half, 150 chains: no good one is lost, and at most one faulty one comes through.
    template = load_prompts()["reasoning_with_answer"]
    lost = missed = 0
    for number, (figure, question, _) in enumerate(random_items("train", 5, 150)):
        answer = solve(question, figure)
        values = {"question": question.text, "answer": answer, "description": read_out(figure)}
        said = reason(fill(template, values), 5, number, half)
        candidate = judge(
            said.thought, said.text, answer, question.text, finish_reason=said.finish_reason
        )
        lost += not said.fault and bool(candidate.dropped_by)
        missed += bool(said.fault) and not candidate.dropped_by
    assert (lost, missed <= 1) == (0, True)


def test_the_halves_of_a_fault_share_no_phrase():
    for fault, all_phrases in PHRASES.items():
        seen, unseen = phrases(fault, "seen"), phrases(fault, "unseen")
        assert sorted(seen + unseen) == sorted(all_phrases)
        assert len(seen) == len(all_phrases) // 2


def test_a_chain_is_dropped_for_all_its_faults_in_the_files_order():
    candidate = judge("I can't see the image. The given answer is 2. The answer is 3.")
    assert candidate.dropped_by == ("contradiction", "leaked_answer", "no_image")


def test_words_are_mended_and_the_rewrites_named():
    candidate = judge("The image description says that the bar is red. It is described twice.")
    assert candidate.thought == "The image shows the bar is red. It is depicted twice."
    assert candidate.rewritten_by == ("description_says", "described")


def test_an_unfinished_think_block_is_unterminated():
    text = "<think>There are two"
    cut = Reply(
        reply_id="",
        text=text,
        thought=None,
        finish_reason="stop",
        prompt_tokens=0,
        completion_tokens=0,
    )
    assert "unterminated" in BOOK.judge(cut, number=0, question="", answer="2").dropped_by


def test_rules_of_ones_own_are_checked_when_they_are_read(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("rules: [{name: none, check: nonsense}]")
    with pytest.raises(ConfigError, match="none: check 'nonsense' is none of"):
        load_rules(str(path))
    path.write_text("rules: [{name: open, patterns: ['(']}]")
    with pytest.raises(ConfigError, match=r"open: '\(' is no pattern"):
        load_rules(str(path))
    path.write_text("rules: [{name: both, patterns: [a], check: no_answer}]")
    with pytest.raises(ConfigError, match="either `patterns` or `check`"):
        load_rules(str(path))
    path.write_text("rules: [{name: short, patterns: ['%image%']}]")
    with pytest.raises(ConfigError, match="is no pattern"):
        load_rules(str(path))
