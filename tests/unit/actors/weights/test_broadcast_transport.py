"""Which engines a broadcast goes to, when its group is formed anew, and who takes the object store instead.

Real engines and a real trainer: `tests/extra/test_broadcast.py`.
"""

from vr1_ray.actors.rollouts.engine import Engine
from vr1_ray.actors.rollouts.engine_health import EngineHealth
from vr1_ray.actors.rollouts.engine_place import EnginePlace
from vr1_ray.actors.weights.broadcast_transport import BroadcastTransport
from vr1_ray.config import EngineHealthConfig
from vr1_ray.weights.broadcast import BroadcastGroup

TABLE = {"names": ["w"], "dtypes": ["float32"], "shapes": [[2]], "offsets": [0], "num_bytes": 64}


class Ranks:
    """A trainer group that remembers what it was asked for, in order."""

    def __init__(self):
        self.actors, self.asked, self.lost = ["rank 0"], [], ""

    def hold(self, version, *, is_hashed):
        self.asked.append(("hold", version))
        return "hash" if is_hashed else ""

    def hand_out(self, version, bucket_bytes):
        self.asked.append(("hand_out", version))
        return [f"ref of {version}"]

    def bucket_tables(self, bucket_bytes):
        self.asked.append("bucket_tables")
        return [TABLE]

    def open_group(self, epoch, backend, world_size, nodes):
        self.asked.append(("open_group", epoch, world_size, nodes))
        return BroadcastGroup(
            epoch=epoch,
            backend=backend,
            address="127.0.0.1",
            port=5000 + epoch,
            world_size=world_size,
            timeout_seconds=1.0,
        )

    def broadcast(self, version, bucket_bytes):
        self.asked.append(("broadcast", version))
        return self.lost


class Actor:
    """The process of an engine, whose calls return what they were asked to load."""

    def __init__(self):
        self.load_weights = self

    def remote(self, version, buckets):
        return version, buckets


class Transport(BroadcastTransport):
    """All engines answer, but those that were said to be late or dead."""

    def __init__(self, ranks):
        self.notes, self.late, self.dead = [], [], []
        super().__init__(ranks, backend="gloo", note=self.notes.append, is_hashed=True)

    def _ask(self, engines):
        present = [one for one in engines if one not in self.late + self.dead]
        return {one.index: "its loss" for one in engines if one in self.dead}, present


def engine(index, size=1):
    health = EngineHealth(EngineHealthConfig())
    one = Engine(index=index, health=health, node=f"node {index}")
    return start(one, size)


def start(one, size=1):
    """A new process of it."""
    one.place = EnginePlace(group=None, actor=Actor(), starting=None, likely_node="", size=size)
    return one


def sync(transport, version, engines):
    """What each engine was asked to load, and what the trainer was asked meanwhile."""
    transport.trainers.asked.clear()
    transport.publish(version)
    calls = transport.load_all(engines)
    return calls, transport.trainers.asked[1:]


def ranks_in(calls):
    return [buckets[0].group.first_rank for _, buckets in calls]


def test_the_group_is_formed_at_the_first_sync_and_kept_while_nothing_happens_to_it():
    transport, engines = Transport(Ranks()), [engine(0), engine(1, size=2), engine(2)]
    calls, asked = sync(transport, 1, engines)
    nodes = ["node 0", "node 1", "node 2"]
    assert asked == ["bucket_tables", ("open_group", 1, 5, nodes), ("broadcast", 1)]
    assert ranks_in(calls) == [1, 2, 4]  # the second has two workers
    assert calls[0][1][0].num_bytes == 64
    assert transport.policy_hash == "hash"
    assert sync(transport, 2, engines)[1] == [("broadcast", 2)]


def test_an_engine_that_is_another_process_has_the_group_formed_anew():
    transport, engines = Transport(Ranks()), [engine(0), engine(1)]
    sync(transport, 1, engines)
    start(engines[1])
    calls, asked = sync(transport, 2, engines)
    assert asked == [("open_group", 2, 3, ["node 0", "node 1"]), ("broadcast", 2)]
    assert {buckets[0].group.port for _, buckets in calls} == {5002}


def test_engines_that_leave_and_a_trainer_that_was_restarted_have_it_formed_anew():
    transport, engines = Transport(Ranks()), [engine(0), engine(1)]
    sync(transport, 1, engines)
    assert sync(transport, 2, engines[1:])[1][0] == ("open_group", 2, 2, ["node 1"])
    transport.trainers.actors = ["another rank 0"]
    assert sync(transport, 3, engines[1:])[1][0] == ("open_group", 3, 2, ["node 1"])


def test_an_engine_that_joins_between_syncs_takes_the_object_store_which_is_filled_once_a_version():
    transport, engines = Transport(Ranks()), [engine(0)]
    sync(transport, 1, engines)
    transport.trainers.asked.clear()
    joined = [engine(1), engine(2)]
    assert [transport.load(one) for one in joined] == [(1, ["ref of 1"])] * 2
    assert transport.trainers.asked == [("hand_out", 1)]
    calls, asked = sync(transport, 2, engines + joined)
    assert asked[0] == ("open_group", 2, 4, ["node 0", "node 1", "node 2"])
    assert ranks_in(calls) == [1, 2, 3]


def test_a_lost_broadcast_is_told_and_the_group_is_not_used_again():
    transport, engines = Transport(Ranks()), [engine(0), engine(1)]
    transport.trainers.lost = "Connection closed by peer\nmore"
    calls, _ = sync(transport, 1, engines)
    assert ranks_in(calls) == [1, 2]
    assert len(transport.notes) == 1
    assert "policy version 1 was lost" in transport.notes[0]
    assert "(Connection closed by peer)" in transport.notes[0]
    transport.trainers.lost = ""
    assert sync(transport, 2, engines)[1][0][:2] == ("open_group", 2)


def test_an_engine_that_missed_the_end_alone_has_the_next_group_formed_anew():
    transport, engines = Transport(Ranks()), [engine(0), engine(1)]
    sync(transport, 1, engines)
    transport.load(engines[1])  # as for any call that failed with BroadcastLostError
    assert sync(transport, 2, engines)[1][0][:2] == ("open_group", 2)


def test_a_dead_engine_is_left_out_and_a_late_one_takes_the_object_store():
    transport, engines = Transport(Ranks()), [engine(number) for number in range(3)]
    transport.dead, transport.late = engines[:1], engines[1:2]
    calls, asked = sync(transport, 1, engines)
    assert asked[1:] == [("open_group", 1, 2, ["node 2"]), ("broadcast", 1), ("hand_out", 1)]
    assert calls[:2] == ["its loss", (1, ["ref of 1"])]
    assert ranks_in(calls[2:]) == [1]


def test_without_any_engine_there_is_no_broadcast():
    transport, [one] = Transport(Ranks()), [engine(0)]
    transport.dead = [one]
    calls, asked = sync(transport, 1, [one])
    assert (calls, asked) == (["its loss"], [])
