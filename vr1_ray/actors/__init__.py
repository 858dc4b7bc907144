"""Where a run happens: the only floor that knows Ray. `fleet.py` holds the verbs that the loops are written in.

The actor classes are thin and plain; `ray.remote` is applied where they are launched.
"""

import os

# Ray joins, unasked, any cluster that it finds on this machine when a thread asks it something after the run has left its
# own. Read when ray is imported.
os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
