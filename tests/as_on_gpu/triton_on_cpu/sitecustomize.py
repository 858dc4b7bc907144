"""With this folder on PYTHONPATH, a Python process has Triton without a GPU: kernels go through Triton's interpreter.

vLLM's own Model Runner V2 then runs on a CPU, every kernel as it is written, some hundred times slower. Python
imports a module of this name by itself, before vLLM looks for a driver.
"""

import os

os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported

from types import SimpleNamespace

from triton.backends import backends

# What vLLM's CPU build looks for; the interpreter needs no driver, so it need not be one.
backends["cpu"] = SimpleNamespace(driver=SimpleNamespace(is_active=lambda: True))
