"""What a run is: the loop of each kind, and recipes that chain runs. What a run keeps is in `runs/`.

`rl_loop.py` is the place to start. Importing this package loads nothing.
"""
