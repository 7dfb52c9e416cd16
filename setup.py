"""Package metadata of rablip: the import name, its mapped root folders, dependencies and extras."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

# Four root folders are rooms of the one package `rablip`, so that nothing called `configuration` or `processing`
# ever reaches site-packages.
MAPPED = {name: name for name in ("configuration", "hub_cards", "modeling_rablip", "processing")}


def read_version() -> str:
    """Return `__version__` of rablip/__init__.py, the one place where the version is written."""
    text = (ROOT / "rablip" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', text, flags=re.MULTILINE)
    if match is None:
        raise RuntimeError('rablip/__init__.py has no line __version__ = "..."')
    return match.group(1)


def all_packages() -> list[str]:
    """Return every package of the distribution: rablip, its sub-packages and the mapped root folders with theirs."""
    packages = ["rablip", *(f"rablip.{name}" for name in find_packages("rablip"))]
    for name, folder in MAPPED.items():
        packages += [f"rablip.{name}", *(f"rablip.{name}.{inner}" for inner in find_packages(folder))]
    return sorted(packages)


# Bounds are versions on which the test suite was really run (see the table in README.md); exact versions are in
# constraints.txt, which only the Makefile uses.
CORE = [
    "accelerate>=1.15",
    "datasets>=5.2",
    "evaluate>=0.4.6",
    "faiss-cpu>=1.15",
    "filelock>=4.2",
    "huggingface_hub>=1.33",
    "jinja2>=3.1",
    "numpy>=2.4",
    "peft>=0.21",
    "pillow>=12.3",
    "pyarrow>=26.0",
    "safetensors>=0.8",
    "torch>=2.13",
    "transformers>=5.17,<6",
    "typer>=0.29",
]
LEXICAL = ["bm25s>=0.3.16"]
ENGINE = ["lancedb>=0.40"]
TEST = ["hypothesis>=6.170", "pytest>=9.2", "pytest-xdist>=3.8"]
DEV = [*TEST, "mypy>=2.4", "ruff>=0.17", "setuptools>=77"]

setup(
    name="rablip",
    version=read_version(),
    description="Multimodal retrieval-augmented question answering on Hugging Face Transformers: RA-BLIP",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8") if (ROOT / "README.md").is_file() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=all_packages(),
    package_dir={"rablip": "rablip", **{f"rablip.{name}": folder for name, folder in MAPPED.items()}},
    package_data={"rablip": ["py.typed"], "rablip.hub_cards": ["*.md"]},
    include_package_data=False,
    install_requires=CORE,
    extras_require={
        "engine": ENGINE,
        "eval": LEXICAL,
        "hybrid": LEXICAL,
        "test": TEST,
        "dev": DEV,
        "all": sorted({*ENGINE, *LEXICAL, *DEV}),
    },
    entry_points={"console_scripts": ["rablip = rablip.cli:main"]},
    classifiers=[
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
