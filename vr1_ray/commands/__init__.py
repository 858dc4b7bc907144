"""What `vr1` answers without being a run: check, contamination, generate, replay, scale, status."""
