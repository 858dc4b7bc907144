"""The published benchmarks, one file each: how their rows are read and what a response is worth."""
