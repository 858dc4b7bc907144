"""Checkpoints are whole and unchanged, or not used. On real files, torn in every way a disk can tear them."""

import errno
import json
import os
import re
import shutil
import subprocess

import pytest

from vr1_ray.runs.checkpoints import (
    MANIFEST,
    Checkpoints,
    TornCheckpointsError,
    find_fault,
    other_owner,
)


def fill(text):
    """A `write` like the trainers': files in folders."""

    def write(folder):
        (folder / "policy").mkdir()
        (folder / "policy" / "weights").write_text(text)
        (folder / "rng").write_text("random")

    return write


def save(checkpoints, *steps):
    for step in steps:
        checkpoints.save(step, write=fill(f"weights of {step}"), state={"sampler": step})


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path)


def test_the_newest_checkpoint_is_found_with_its_state(checkpoints):
    checkpoints.save(2, write=fill("two"), state={"sampler": {"epoch": 1}})
    checkpoints.save(10, write=fill("ten"), state={"sampler": {"epoch": 2}})
    found = checkpoints.latest()
    assert found.step == 10
    assert (found.folder / "policy" / "weights").read_text() == "ten"
    assert found.state == {"sampler": {"epoch": 2}}
    assert found.skipped == ()


def test_a_copy_kept_beside_the_checkpoints_is_left_alone(checkpoints):
    save(checkpoints, 1, 2)
    copy = checkpoints.folder / "step_000001.bak"
    shutil.copytree(checkpoints.path(1), copy)
    checkpoints.retain(newest=2, keep_last=1)
    assert checkpoints.steps() == [2]
    assert copy.is_dir()


def test_a_run_without_checkpoints_has_none(checkpoints):
    assert checkpoints.latest() is None


def test_a_state_with_numbers_as_keys_is_read_back_sound(checkpoints):
    checkpoints.save(1, write=fill("x"), state={"seen": {10: "b", 9: "a"}})
    assert checkpoints.latest().state == {"seen": {"10": "b", "9": "a"}}


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_crash_while_saving_leaves_the_one_before_and_no_half(checkpoints, error):
    save(checkpoints, 1)

    def crash(folder):
        fill("half")(folder)
        raise error

    with pytest.raises(type(error)):
        checkpoints.save(2, write=crash, state={})
    assert checkpoints.latest().step == 1
    assert [path.name for path in checkpoints.folder.iterdir()] == ["step_000001"]


def test_a_process_killed_while_saving_leaves_a_folder_that_is_no_checkpoint(checkpoints):
    save(checkpoints, 1)
    (checkpoints.folder / "unfinished_step_000002").mkdir()
    fill("half")(checkpoints.folder / "unfinished_step_000002")
    assert checkpoints.latest().step == 1
    save(checkpoints, 2)
    assert checkpoints.latest().step == 2


def flip_a_bit(folder):
    path = folder / "policy" / "weights"
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)


def truncate(folder):
    path = folder / "policy" / "weights"
    path.write_bytes(path.read_bytes()[:-4])


def lose_a_file(folder):
    (folder / "rng").unlink()


def lose_the_manifest(folder):
    (folder / MANIFEST).unlink()


def cut_the_manifest(folder):
    path = folder / MANIFEST
    path.write_text(path.read_text()[:40])


def change_the_state(folder):
    path = folder / MANIFEST
    content = json.loads(path.read_text())
    content["state"]["sampler"] = 99
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("tear", "reason"),
    [
        (flip_a_bit, "policy/weights has changed: its SHA-256"),
        (truncate, "policy/weights has 8 bytes instead of 12"),  # "weights of 3" less 4
        (lose_a_file, "rng is missing"),
        (lose_the_manifest, "No such file.*manifest.json"),
        (cut_the_manifest, "manifest.json can't be read"),
        (change_the_state, "manifest.json has changed"),
    ],
)
def test_a_torn_checkpoint_is_passed_over_with_the_reason(checkpoints, tear, reason):
    save(checkpoints, 2, 3)
    tear(checkpoints.path(3))
    found = checkpoints.latest()
    assert found.step == 2
    assert found.state == {"sampler": 2}
    (sentence,) = found.skipped
    assert re.search(f"step_000003 is torn and was skipped: .*{reason}", sentence)


def test_without_checksums_only_a_changed_byte_goes_unseen(checkpoints):
    save(checkpoints, 3)
    flip_a_bit(checkpoints.path(3))
    assert find_fault(checkpoints.path(3)) is not None
    assert find_fault(checkpoints.path(3), with_checksums=False) is None
    truncate(checkpoints.path(3))
    assert find_fault(checkpoints.path(3), with_checksums=False) is not None


def test_torn_checkpoints_alone_are_an_error_that_names_each(checkpoints):
    save(checkpoints, 1, 2)
    lose_a_file(checkpoints.path(1))
    truncate(checkpoints.path(2))
    with pytest.raises(TornCheckpointsError, match=r"(?s)step_000002.*bytes.*step_000001.*rng"):
        checkpoints.latest()


def test_only_the_last_are_kept(checkpoints):
    save(checkpoints, 1, 2, 3)
    checkpoints.retain(newest=3, keep_last=2)
    assert checkpoints.steps() == [2, 3]


def test_the_best_is_kept_beside_the_last(checkpoints):
    save(checkpoints, 1, 2, 3, 4)
    checkpoints.retain(newest=4, keep_last=2, best=1)
    assert checkpoints.steps() == [1, 3, 4]


def test_a_torn_one_of_a_later_step_goes_when_a_sound_one_is_there(checkpoints):
    save(checkpoints, 1, 2, 9)
    lose_a_file(checkpoints.path(9))
    assert checkpoints.latest().step == 2
    assert checkpoints.steps() == [1, 2, 9]  # looking removes nothing
    save(checkpoints, 3)
    checkpoints.retain(newest=3, keep_last=2)
    assert checkpoints.steps() == [2, 3]


def test_a_step_saved_again_takes_the_place_of_its_torn_checkpoint(checkpoints):
    save(checkpoints, 1)
    truncate(checkpoints.path(1))
    save(checkpoints, 1)
    assert checkpoints.latest().step == 1


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, check=False).returncode:
        pytest.skip("may not mount a tmpfs here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_fills_up_while_saving_leaves_the_one_before(small_disk):
    checkpoints = Checkpoints(small_disk)
    save(checkpoints, 1)
    with pytest.raises(OSError, match="No space left on device"):
        checkpoints.save(2, write=lambda f: (f / "w").write_bytes(bytes(2 << 20)), state={})
    assert checkpoints.latest().step == 1
    save(checkpoints, 2)
    assert checkpoints.latest().step == 2


def test_a_disk_without_room_for_another_checkpoint_is_found_out_before_anything_is_written(
    small_disk,
):
    checkpoints = Checkpoints(small_disk)
    checkpoints.save(1, write=lambda f: (f / "w").write_bytes(bytes(600 << 10)), state={})
    with pytest.raises(OSError, match=r"0 MB are free and the last checkpoint took 1 MB"):
        checkpoints.save(2, write=lambda folder: pytest.fail("was written to"), state={})
    assert checkpoints.latest().step == 1


def test_what_killed_processes_left_half_written_is_removed_before_a_save(checkpoints):
    save(checkpoints, 1)
    run = checkpoints.folder.parent
    left = (
        "checkpoints/unfinished_step_000002",
        "checkpoints/unfinished_step_000003",
        "checkpoints/step_000001/trainer/universal",
        "unfinished_policy",
        "unfinished_reference_stage_2",
    )
    for name in left:
        (run / name).mkdir(parents=True)
        (run / name / "weights").write_text("half")
    save(checkpoints, 4)
    assert not [name for name in left if (run / name).exists()]
    assert checkpoints.steps() == [1, 4]
    assert find_fault(checkpoints.path(1)) is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_checkpoint_of_another_user_is_named_with_the_file(checkpoints):
    save(checkpoints, 1)
    assert other_owner(checkpoints.path(1)) is None
    file = checkpoints.path(1) / "policy/weights"
    os.chown(file, 12345, -1)
    assert other_owner(checkpoints.path(1)) == f"{file} is of user 12345"
