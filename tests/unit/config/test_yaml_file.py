"""Whatever YAML or an interpolation stumbles over has one line: the file, the line, what is wrong, the cure."""

import pytest

from vr1_ray.config import ConfigError, load_config

RL = """kind: rl
name: demo
model: {path: some/policy}
data: {train: some/data}
curriculum: {stages: [{max_response_tokens: 96, group_size: 4, steps: 2}]}
"""


@pytest.fixture
def refusal(tmp_path):
    def message(text: str | bytes) -> str:
        path = tmp_path / "config.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(ConfigError) as raised:
            load_config(path)
        return str(raised.value).removeprefix(f"{path}")

    return message


@pytest.mark.parametrize("text", ["", "\n\n", "# a comment\n", "---\n", "null\n", "~"])
def test_an_empty_config_says_how_one_begins(refusal, text):
    assert refusal(text).startswith(": empty; a config begins with `kind:`")


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("rollout:\n\tnum_engines: 2\n", ", line 7: a tab, which YAML does not take for indentation; use spaces (num"),
        ("rollout:\n  a: b\n\tnum_engines: 2\n", ", line 8: a tab, which YAML"),
        ("name2: a: b\n", ", line 6: a second ': ' in one line"),
        (" seed: 3\n", ", line 6: indented unlike the keys before it"),
        ("seed:3\n", ", line 6: a line that is no `key: value`"),
        ("benchmarks: [a, b\n", ", line 6: a bracket is opened here and never closed; close it (benchmarks: [a, b)"),
        ("tracking: {wandb: true\nseed: 1\n", ", line 6: a bracket is opened here and never closed"),
        ("runs_folder: \"abc\n", ", line 6: a quote is opened here and never closed"),
        ("benchmarks: [*a]\n", ", line 6: a value that begins with * stands for another"),
        ("runs_folder: !env HOME\n", ", line 6: a value that begins with ! names a type"),
        ("runs_folder: @here\n", ", line 6: the value or key begins with a sign"),
        ("%name: 3\n", ", line 6: the value or key begins with a sign"),
        ("runs_folder: {{runs}}\n", ", line 6: a mapping or list stands where a key does"),
        ("---\nkind: rl\n", ", line 6: --- begins a second config"),
        ("<<: 3\n", ", line 6: << takes a mapping"),
        ("runs_folder: \"a\0\"\n", r", line 6: a control character ('\x00'); take it out"),
        ("seed: 2024-01-01\n", ", line 6: seed: 2024-01-01 is a date in YAML"),
        ("rollout: {options: {a: 2024-01-01}}\n", ", line 6: rollout.options.a: 2024-01-01 is a date in YAML"),
        ("benchmarks: !!set {a}\n", ", line 6: benchmarks: {'a'} is a set in YAML"),
        ("seed: 2024-13-45\n", ": a value can't be read (month must be in 1..12); quote it"),
        ("on: 3\n", ": a key is True, as YAML reads"),
        ("rollout: {options: {null: 3}}\n", ": rollout.options: a key is None"),
        ("seed: ${nowhere}\n", ", line 6: seed: ${nowhere} names no key of this config; `vr1 config` lists all"),
        ("seed: ${rollout.num_engine}\n", ", line 6: seed: ${rollout.num_engine} names no key of this config; did you mean rollout.num_engines?"),
        ("runs_folder: ${PATH}\n", "names no key of this config; did you mean ${oc.env:PATH}?"),
        ("runs_folder: ${oc.env:NO_SUCH_VR1}\n", "the environment variable NO_SUCH_VR1 is not set; set it, or write ${oc.env:NO_SUCH_VR1,DEFAULT}"),
        ("runs_folder: ${name\n", ", line 6: runs_folder: '${name' has a '${' without what belongs to it"),
        ("runs_folder: ${}\n", ", line 6: runs_folder: '${}' has a '${' without"),
        ("runs_folder: ${runs_folder}\n", ", line 6: runs_folder: leads back to itself"),
        ("runs_folder: ${env:HOME}\n", "${env:...} is no form that is known; write ${section.key} or ${oc.env:NAME}"),
        ("seed: ${name}\n", ", line 6: seed: ${name} stands for 'demo'; give a whole number"),
        ("runs_folder: ${model}\n", "${model} stands for a section, and this is a text; name one of its keys"),
        ("rollout: {options: {a: ['${nowhere']}}\n", ", line 6: rollout.options.a[0]: '${nowhere' has a '${' without"),
    ],
)  # fmt: skip
def test_a_stumble_is_told_in_one_line_with_its_place_and_cure(refusal, added, said):
    told = refusal(RL + added)
    assert said in told
    assert "\n" not in told
    assert "unicode string" not in told


def test_a_file_that_is_no_utf_8_is_told_by_its_line(refusal):
    assert refusal(RL.encode() + "runs_folder: é".encode("latin-1")).startswith(
        ", line 6: no UTF-8 text; save the file as UTF-8"
    )


def test_a_folder_is_no_config(tmp_path):
    with pytest.raises(ConfigError, match=r"is a folder; it holds no \.yaml file"):
        load_config(tmp_path)


def test_brackets_without_end_are_refused_in_words(refusal):
    assert "\n" not in refusal(RL + "benchmarks: " + "[" * 3000)
