"""Where a run happens: the only floor that knows Ray. `fleet.py` holds the verbs that the loops are written in.

The actor classes are thin and plain; `ray.remote` is applied where they are launched.
"""
