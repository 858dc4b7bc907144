"""What a run leaves to look at: metrics (`Tracker` and its sinks) and saved rollouts (`RolloutStore`).

The metrics are documented in METRICS.md in this folder. A new destination for metrics is one more class with
the methods of `sinks.Sink` and one more row in `tracker.Tracker`.
"""

from vr1_ray.tracking.rollout_store import RolloutStore, load_groups, saved_steps
from vr1_ray.tracking.tracker import Tracker

__all__ = ["RolloutStore", "Tracker", "load_groups", "saved_steps"]
