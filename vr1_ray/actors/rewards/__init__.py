"""Reward actors, and the pools that hand them groups."""
