"""Token counts are remembered by what a row and the tokenizer are, and are those that rendering gives."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.training.sample_rows import model_config, picture, tiny_adapter
from vr1_ray.data.prompt_ids import make_prompt
from vr1_ray.models import load_adapter
from vr1_ray.preflight import token_counts
from vr1_ray.preflight.token_counts import TokenCounts, lengths_of
from vr1_ray.types import Demonstration

PROMPT = make_prompt("<image>How many?", (picture("red"),), "3")
OTHER = make_prompt("How many?", (), "3")
DEMONSTRATION = Demonstration(prompt=OTHER, response="Three.")


@pytest.fixture(scope="module")
def adapter():
    return tiny_adapter()


def counts_in(folder: Path, adapter) -> TokenCounts:
    return TokenCounts(str(folder), adapter.config, adapter)


def test_counts_are_those_of_rendering_and_come_from_disk_at_the_next_start(adapter, tmp_path):
    first = counts_in(tmp_path, adapter)
    first.add([PROMPT, OTHER])
    first.add([DEMONSTRATION])
    expected = [
        len(adapter.render(PROMPT).prompt_ids),
        len(adapter.render(OTHER).prompt_ids),
        len(adapter.render(OTHER).prompt_ids) + len(adapter.encode_response("Three.")),
    ]
    second = counts_in(tmp_path, adapter)
    assert sorted(map(sum, second.known.values())) == sorted(expected)
    assert [second.of(item) for item in (PROMPT, OTHER, DEMONSTRATION)] == expected


def test_what_two_starts_count_is_kept_of_both(adapter, tmp_path):
    one, two = counts_in(tmp_path, adapter), counts_in(tmp_path, adapter)
    one.add([PROMPT])
    two.add([OTHER])
    assert len(counts_in(tmp_path, adapter).known) == 2


def test_another_limit_or_system_text_counts_anew(adapter, tmp_path):
    counts_in(tmp_path, adapter).add([PROMPT])
    for settings in ({"max_pixels": 28 * 28 * 4}, {"system_prompt": "Answer."}):
        other = load_adapter(model_config(**settings))
        counts = counts_in(tmp_path, other)
        assert counts.known == {}
        assert (
            counts.of(PROMPT)
            == len(other.render(PROMPT).prompt_ids)
            != sum(lengths_of(PROMPT, adapter))
        )


def test_a_broken_file_or_none_counts_again(adapter, tmp_path):
    counts_in(tmp_path, adapter).add([PROMPT])
    [file] = tmp_path.iterdir()
    assert len(json.loads(file.read_text())) == 1
    file.write_text("[")
    assert counts_in(tmp_path, adapter).known == {}
    without = TokenCounts("", adapter.config, adapter)
    without.add([PROMPT])
    assert without.of(PROMPT) == sum(lengths_of(PROMPT, adapter))
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow
def test_many_rows_are_counted_in_workers_with_the_same_figures(adapter, tmp_path, monkeypatch):
    monkeypatch.setattr(token_counts, "MANY_ROWS", 2)
    monkeypatch.setattr(token_counts, "CHUNK_ROWS", 3)
    monkeypatch.setattr(token_counts, "num_workers", lambda: 2)
    prompts = [make_prompt(f"How many? {'really ' * number}", (), "3") for number in range(8)]
    prompts = [*prompts, PROMPT]
    counts = TokenCounts(str(tmp_path), replace(adapter.config), adapter)
    counts.add(prompts)
    assert [counts.known[prompt.prompt_id] for prompt in prompts] == [
        lengths_of(prompt, adapter) for prompt in prompts
    ]
