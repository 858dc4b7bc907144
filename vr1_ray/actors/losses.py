"""What Ray's errors say of an actor that is lost: which of them mean a loss, and of what, in a few words.

Besides the error of an actor whose process ended, Ray has others for the same thing: killed for want of memory, its
node died, its disk was full, nowhere to run. All are losses, and recovered as a kill is. An error that is none of them
(of a runtime environment, of an authentication) would come again.
"""

import re

from ray.exceptions import (
    ActorPlacementGroupRemoved,
    ActorUnschedulableError,
    NodeDiedError,
    ObjectLostError,
    ObjectStoreFullError,
    OutOfDiskError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RaySystemError,
    RpcError,
    TaskPlacementGroupRemoved,
    TaskUnschedulableError,
    WorkerCrashedError,
)

LOSSES: dict[type[RayError], str] = {
    RayActorError: "died",
    ObjectLostError: "died with what it had made",  # its node is gone
    WorkerCrashedError: "died",
    NodeDiedError: "died with its node",
    OutOfDiskError: "was lost for want of disk",
    ObjectStoreFullError: "was lost for want of room in its object store",
    ActorUnschedulableError: "has no node it can run on",
    TaskUnschedulableError: "has no node it can run on",
    ActorPlacementGroupRemoved: "died with its place",
    TaskPlacementGroupRemoved: "died with its place",
    RaySystemError: "was lost with its raylet",
    RpcError: "can't be reached",
}


def how_lost(error: RayError) -> str:
    """What became of an actor, such as "died"; "" if this error does not mean that it is lost.

    Example:
        how_lost(error)  # "was killed for want of memory (node 10.0.0.7: 61.2GB used / 62.0GB limit; it had 9.1GB)"
    """
    if isinstance(error, OutOfMemoryError):
        return f"was killed for want of memory{_memory(str(error))}"
    return next((how for kind, how in LOSSES.items() if isinstance(error, kind)), "")


def _memory(text: str) -> str:
    """Which node, and how much, of the message of Ray's memory monitor."""
    node = re.search(r"IP: ([^,)]+)[^)]*\) was ([^()\n]+?) \(", text)
    own = re.search(r"actual memory used=([\d.]+ ?\w+)", text)
    parts = [f"node {node[1]}: {node[2]}"] if node else []
    parts += [f"it had {own[1]}"] if own else []
    return f" ({'; '.join(parts)})" if parts else ""
