"""Checkpoints are complete or not there."""

import pytest

from vr1_ray.loops.checkpoints import Checkpoints


def fill(text):
    return lambda folder: (folder / "weights").write_text(text)


def test_the_newest_complete_checkpoint_is_found(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep_last=3)
    checkpoints.save(2, write=fill("two"), state={"sampler": {"epoch": 1}})
    checkpoints.save(10, write=fill("ten"), state={"sampler": {"epoch": 2}})
    step, folder, state = checkpoints.latest()
    assert (step, (folder / "weights").read_text(), state["sampler"]) == (10, "ten", {"epoch": 2})


def test_a_crash_while_saving_leaves_the_one_before(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep_last=3)
    checkpoints.save(1, write=fill("one"), state={})

    def crash(folder):
        (folder / "weights").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        checkpoints.save(2, write=crash, state={})
    assert checkpoints.latest()[0] == 1


def test_a_folder_without_manifest_is_not_a_checkpoint(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep_last=3)
    (checkpoints.folder / "step_000009").mkdir(parents=True)
    assert checkpoints.latest() is None


def test_only_the_last_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep_last=2)
    for step in (1, 2, 3):
        checkpoints.save(step, write=fill("x"), state={})
    assert sorted(folder.name for folder in checkpoints.folder.iterdir()) == [
        "step_000002",
        "step_000003",
    ]
