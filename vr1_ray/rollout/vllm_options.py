"""Which names `rollout.options` may have with vLLM, read off vLLM's source: importing vLLM takes many seconds."""

import ast
import importlib.util
from functools import cache
from pathlib import Path

ENGINE_ARGUMENTS = ("EngineArgs", "AsyncEngineArgs")


@cache
def vllm_option_names() -> tuple[str, ...] | None:
    """The fields of vLLM's engine arguments; None where vLLM is not installed, as on a driver without engines."""
    spec = importlib.util.find_spec("vllm")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / "engine" / "arg_utils.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return tuple(
        line.target.id
        for owner in tree.body
        if isinstance(owner, ast.ClassDef) and owner.name in ENGINE_ARGUMENTS
        for line in owner.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
    )
