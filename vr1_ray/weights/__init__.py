"""How weights travel from the trainer to the engines: packed buckets, broadcasts, shared GPU memory. Both sides use it."""
