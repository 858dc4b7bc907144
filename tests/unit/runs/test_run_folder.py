"""A run folder belongs to one run: what is resumed, what is refused, what is kept."""

from dataclasses import replace

import pytest

from vr1_ray.config import (
    CheckpointConfig,
    ConfigError,
    CurriculumConfig,
    ModelConfig,
    OptimizerConfig,
    RolloutConfig,
    RunConfig,
    StageConfig,
    TrainerConfig,
    load_config,
)
from vr1_ray.runs.checkpoints import Checkpoints
from vr1_ray.runs.run_folder import finished_result, open_run, write_result

pytestmark = pytest.mark.slow  # together over five seconds


@pytest.fixture
def config(tmp_path):
    return RunConfig(kind="rl", name="demo", runs_folder=str(tmp_path), model=ModelConfig(path="m"))


def save_checkpoint(config, step):
    def write(folder):
        (folder / "weights").write_text(f"of step {step}")

    return Checkpoints(config.folder).save(step, write=write, state={})


def test_a_new_run_starts_fresh_and_keeps_its_resolved_config(config):
    assert open_run(config) is None
    assert "runs_folder" in (config.folder / "config.yaml").read_text()


def test_a_run_with_a_checkpoint_goes_on_from_it(config):
    open_run(config)
    save_checkpoint(config, 3)
    assert open_run(config).step == 3


def test_a_run_goes_on_from_the_checkpoint_before_a_torn_one(config):
    open_run(config)
    save_checkpoint(config, 3)
    (save_checkpoint(config, 6) / "weights").unlink()
    found = open_run(config)
    assert found.step == 3
    assert "step_000006 is torn" in found.skipped[0]


@pytest.mark.parametrize("resume", ["auto", "must"])
def test_a_run_whose_checkpoints_are_all_torn_is_not_thrown_away_unasked(config, resume):
    open_run(config)
    (save_checkpoint(config, 3) / "weights").unlink()
    (config.folder / "metrics.jsonl").write_text("{}")
    config = replace(config, checkpoint=CheckpointConfig(resume=resume))
    with pytest.raises(ConfigError, match=r"(?s)weights is missing.*checkpoint\.resume=never"):
        open_run(config)
    assert (config.folder / "metrics.jsonl").exists()
    assert open_run(replace(config, checkpoint=CheckpointConfig(resume="never"))) is None


def test_a_run_without_a_checkpoint_forgets_what_was_left(config):
    open_run(config)
    (config.folder / "metrics.jsonl").write_text("{}")
    assert open_run(config) is None
    assert not (config.folder / "metrics.jsonl").exists()


def test_resume_never_starts_over(config):
    open_run(config)
    save_checkpoint(config, 3)
    assert open_run(replace(config, checkpoint=CheckpointConfig(resume="never"))) is None


def test_resume_must_without_a_checkpoint_is_refused(config):
    with pytest.raises(ConfigError, match=r"checkpoint\.resume"):
        open_run(replace(config, checkpoint=CheckpointConfig(resume="must")))


def test_a_run_with_other_settings_is_refused_by_their_names(config):
    open_run(config)
    save_checkpoint(config, 3)
    with pytest.raises(ConfigError, match="seed: changed"):
        open_run(replace(config, seed=9))


def test_the_number_of_engines_may_change_between_parts_of_a_run(config):
    open_run(config)
    save_checkpoint(config, 3)
    assert open_run(replace(config, rollout=RolloutConfig(num_engines=5))).step == 3


def test_a_finished_run_is_known_by_its_result(config):
    open_run(config)
    assert finished_result(config) is None
    write_result(config, {"kind": "rl"})
    assert finished_result(config) == {"kind": "rl"}
    assert finished_result(replace(config, checkpoint=CheckpointConfig(resume="never"))) is None


def test_a_finished_run_with_a_further_stage_goes_on(config):
    open_run(config)
    write_result(config, {"kind": "rl"})
    stages = [StageConfig(max_response_tokens=8, group_size=2, steps=1)]
    assert finished_result(replace(config, curriculum=CurriculumConfig(stages=stages))) is None


def starts(config):
    return sorted(path.name for path in (config.folder / "configs").iterdir())


def test_a_resumed_run_tells_every_key_that_changed_and_keeps_the_config_of_each_start(
    config, caplog
):
    caplog.set_level("INFO", logger="vr1_ray")
    open_run(config)
    save_checkpoint(config, 3)
    stages = [StageConfig(max_response_tokens=8, group_size=2, steps=1)]
    changed = replace(
        config,
        trainer=TrainerConfig(optimizer=OptimizerConfig(lr=0.5)),
        curriculum=CurriculumConfig(stages=stages),
    )
    open_run(changed)
    assert "demo: trainer.optimizer.lr: 1e-06 -> 0.5 since the last start" in caplog.messages
    assert any("curriculum.stages[0].steps: not there -> 1" in line for line in caplog.messages)
    assert starts(config) == ["start_0001.yaml", "start_0002.yaml"]
    second = (config.folder / "configs/start_0002.yaml").read_text()
    assert "# trainer.optimizer.lr: 1e-06 -> 0.5" in second
    assert load_config(config.folder / "configs/start_0002.yaml") == changed
    assert load_config(config.folder / "configs/start_0001.yaml") == config
    assert load_config(config.folder / "config.yaml") == changed


def test_a_resumed_run_with_the_same_config_tells_nothing(config, caplog):
    caplog.set_level("INFO", logger="vr1_ray")
    open_run(config)
    save_checkpoint(config, 3)
    open_run(config)
    assert not caplog.messages


def test_a_run_that_starts_over_keeps_no_config_of_before(config):
    open_run(config)
    save_checkpoint(config, 3)
    open_run(replace(config, checkpoint=CheckpointConfig(resume="never")))
    assert starts(config) == ["start_0001.yaml"]


def test_what_changed_for_a_finished_run_is_told_to_have_no_effect(config, caplog):
    caplog.set_level("INFO", logger="vr1_ray")
    open_run(config)
    write_result(config, {"kind": "rl"})
    finished_result(replace(config, rollout=RolloutConfig(num_engines=5)))
    [line] = caplog.messages
    assert "without effect: rollout.num_engines: 1 -> 5" in line
