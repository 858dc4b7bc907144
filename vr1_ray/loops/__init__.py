"""What a run is: the loop of each kind, its folder, checkpoints and metrics, and recipes that chain runs.

`rl_loop.py` is the place to start. Importing this package loads nothing.
"""
