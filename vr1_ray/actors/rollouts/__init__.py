"""Rollout actors: engines that start, fail, sleep and leave, and the pool that hands them requests."""
