"""The config's `kubeflow` section: paths on the cluster, and resources of each step's container."""

from typing import Annotated

from pydantic import Field

from trainer.section import Location, Section

# Accepts YAML's lists for tuples, which keep a config immutable.
_AS_LIST = Field(strict=False)
Names = dict[str, str]


class Retry(Section):
    """How often a failed step is tried again."""

    times: int = Field(0, ge=0, le=20)
    """Further tries after one that failed."""
    wait: int = Field(60, ge=0)
    """Seconds before the first further try."""
    factor: int = Field(2, ge=1, le=100)
    """How many times longer each wait is than the last."""
    longest: int | None = Field(None, ge=1, examples=[86400])
    """Seconds since the first try began after which it is given up. If left out, only the number of
    tries counts."""


class Secret(Section):
    """A key of a Kubernetes Secret, put into an environment variable."""

    name: str
    """Name of the Secret."""
    key: str
    """Key within it."""
    env: str
    """Environment variable that gets its value."""


class Volume(Section):
    """A persistent volume that the container sees as a folder."""

    claim: str
    """Name of the PersistentVolumeClaim."""
    path: str
    """Folder under which the container sees it."""


class Toleration(Section):
    """A node's taint that the step tolerates."""

    key: str
    """The taint's key."""
    operator: str = "Equal"
    """Equal or Exists."""
    value: str = ""
    """The taint's value, where the operator is Equal."""
    effect: str = ""
    """NoSchedule, PreferNoSchedule or NoExecute; empty for all."""


class Step(Section):
    """Image, resources, environment and retries of one step's container."""

    image: str | None = Field(None, examples=["registry.example.com/retrain:1"])
    """Container image, as the cluster pulls it; kubeflow/Dockerfile builds it. If left out,
    retrain:latest."""
    cpu: float | None = Field(None, gt=0, examples=[2.0])
    """CPUs, at most."""
    memory: float | None = Field(None, gt=0, examples=[8.0])
    """Memory in GB (10^9 bytes), at most."""
    gpu: int | None = Field(None, ge=0, examples=[1])
    """Number of GPUs."""
    gpu_type: str | None = Field(None, examples=["nvidia.com/gpu"])
    """Kubernetes' name for the GPUs, or Vertex AI's. If left out, nvidia.com/gpu."""
    retry: Retry | None = Field(None, examples=[{"times": 2, "wait": 60}])
    """What to do when it fails."""
    timeout: int | None = Field(None, ge=1, examples=[3600])
    """Seconds after which it is stopped."""
    cache: bool | None = Field(None, examples=[True])
    """Whether an equal step of an earlier run is taken instead. If left out, true."""
    env: Names | None = Field(
        None,
        examples=[{"AWS_REGION": "eu-central-1"}],
        json_schema_extra={"allowed": "a mapping of text to text"},
    )
    """Environment variables."""
    secrets: Annotated[tuple[Secret, ...], _AS_LIST] | None = Field(
        None,
        examples=[[{"name": "s3", "key": "secret-key", "env": "AWS_SECRET_ACCESS_KEY"}]],
        json_schema_extra={"allowed": "a list of mappings with name, key and env"},
    )
    """Keys of Kubernetes Secrets as environment variables."""
    volumes: Annotated[tuple[Volume, ...], _AS_LIST] | None = Field(
        None,
        examples=[[{"claim": "retrain", "path": "/mnt/retrain"}]],
        json_schema_extra={"allowed": "a list of mappings with claim and path"},
    )
    """Persistent volumes, such as the one with data and model store."""
    node_selector: Names | None = Field(
        None,
        examples=[{"disktype": "ssd"}],
        json_schema_extra={"allowed": "a mapping of text to text"},
    )
    """Labels that a node must have."""
    tolerations: Annotated[tuple[Toleration, ...], _AS_LIST] | None = Field(
        None,
        examples=[[{"key": "gpu", "operator": "Exists"}]],
        json_schema_extra={"allowed": "a list of mappings with key, operator, value and effect"},
    )
    """Taints that the node may have."""


class Kubeflow(Section):
    """What `retrain compile`, `submit` and `schedule` need to know of the cluster."""

    data_root: Location | None = Field(None, examples=["/mnt/retrain/data/cifar10"])
    """data.root as the containers see it. If left out, data.root itself."""
    output: Location | None = Field(None, examples=["/mnt/retrain/runs/cifar10"])
    """output as the containers see it; the model store is models/{name} in it, unless
    push.model_store names another that they see too. If left out, output itself."""
    split_folders: bool = False
    """Whether spans come in train, val and test folders; only asked for where data.root is not on
    the machine that compiles. It has no effect where data.split_names is given."""
    pipeline_root: str | None = Field(
        None,
        pattern=r"^(gs|s3|minio)://[^/]",
        examples=["minio://mlpipeline/v2/artifacts"],
        json_schema_extra={"allowed": "minio://…, s3://… or gs://…"},
    )
    """Where KFP keeps artifacts. If left out, what the cluster is set up for."""
    every_step: Step | None = Field(
        None, examples=[{"image": "registry.example.com/retrain:1", "memory": 4.0}]
    )
    """What every step's container gets."""
    steps: dict[str, Step] | None = Field(
        None,
        examples=[{"trainer": {"cpu": 4.0, "memory": 16.0}}],
        json_schema_extra={"allowed": "a mapping of steps' names to the keys of every_step"},
    )
    """What single steps get instead, by the step's name."""

    def step(self, name: str) -> Step:
        """Returns `every_step` overridden by the step's own; merges `env` and `node_selector`."""
        common = (self.every_step or Step()).model_dump(exclude_none=True)
        own = (self.steps or {}).get(name, Step()).model_dump(exclude_none=True)
        for key in ("env", "node_selector"):
            if key in common and key in own:
                own[key] = {**common[key], **own[key]}
        return Step.model_validate({**common, **own})
