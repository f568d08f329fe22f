"""The config's `kubeflow` section: paths on the cluster, and resources of each step's container."""

from typing import Annotated

from pydantic import Field

from trainer.section import Location, Section

# Accepts YAML's lists for tuples, which keep a config immutable.
_AS_LIST = Field(strict=False)
Names = dict[str, str]


class Retry(Section):
    """How often a failed step is tried again."""

    times: int = Field(0, ge=0, le=20, description="Further tries after one that failed.")
    wait: int = Field(60, ge=0, description="Seconds before the first further try.")
    factor: int = Field(
        2, ge=1, le=100, description="How many times longer each wait is than the last."
    )
    longest: int | None = Field(
        None,
        ge=1,
        description="Seconds since the first try began after which it is given up. If left out,"
        " only the number of tries counts.",
        examples=[86400],
    )


class Secret(Section):
    """A key of a Kubernetes Secret, put into an environment variable."""

    name: str = Field(description="Name of the Secret.")
    key: str = Field(description="Key within it.")
    env: str = Field(description="Environment variable that gets its value.")


class Volume(Section):
    """A persistent volume that the container sees as a folder."""

    claim: str = Field(description="Name of the PersistentVolumeClaim.")
    path: str = Field(description="Folder under which the container sees it.")


class Toleration(Section):
    """A node's taint that the step tolerates."""

    key: str = Field(description="The taint's key.")
    operator: str = Field("Equal", description="Equal or Exists.")
    value: str = Field("", description="The taint's value, where the operator is Equal.")
    effect: str = Field("", description="NoSchedule, PreferNoSchedule or NoExecute; empty for all.")


class Step(Section):
    """Image, resources, environment and retries of one step's container."""

    image: str | None = Field(
        None,
        description="Container image, as the cluster pulls it; kubeflow/Dockerfile builds it. If"
        " left out, retrain:latest.",
        examples=["registry.example.com/retrain:1"],
    )
    cpu: float | None = Field(None, gt=0, description="CPUs, at most.", examples=[2.0])
    memory: float | None = Field(
        None, gt=0, description="Memory in GB (10^9 bytes), at most.", examples=[8.0]
    )
    gpu: int | None = Field(None, ge=0, description="Number of GPUs.", examples=[1])
    gpu_type: str | None = Field(
        None,
        description="Kubernetes' name for the GPUs, or Vertex AI's. If left out, nvidia.com/gpu.",
        examples=["nvidia.com/gpu"],
    )
    retry: Retry | None = Field(
        None, description="What to do when it fails.", examples=[{"times": 2, "wait": 60}]
    )
    timeout: int | None = Field(
        None, ge=1, description="Seconds after which it is stopped.", examples=[3600]
    )
    cache: bool | None = Field(
        None,
        description="Whether an equal step of an earlier run is taken instead. If left out, true.",
        examples=[True],
    )
    env: Names | None = Field(
        None,
        description="Environment variables.",
        examples=[{"AWS_REGION": "eu-central-1"}],
        json_schema_extra={"allowed": "a mapping of text to text"},
    )
    secrets: Annotated[tuple[Secret, ...], _AS_LIST] | None = Field(
        None,
        description="Keys of Kubernetes Secrets as environment variables.",
        examples=[[{"name": "s3", "key": "secret-key", "env": "AWS_SECRET_ACCESS_KEY"}]],
        json_schema_extra={"allowed": "a list of mappings with name, key and env"},
    )
    volumes: Annotated[tuple[Volume, ...], _AS_LIST] | None = Field(
        None,
        description="Persistent volumes, such as the one with data and model store.",
        examples=[[{"claim": "retrain", "path": "/mnt/retrain"}]],
        json_schema_extra={"allowed": "a list of mappings with claim and path"},
    )
    node_selector: Names | None = Field(
        None,
        description="Labels that a node must have.",
        examples=[{"disktype": "ssd"}],
        json_schema_extra={"allowed": "a mapping of text to text"},
    )
    tolerations: Annotated[tuple[Toleration, ...], _AS_LIST] | None = Field(
        None,
        description="Taints that the node may have.",
        examples=[[{"key": "gpu", "operator": "Exists"}]],
        json_schema_extra={"allowed": "a list of mappings with key, operator, value and effect"},
    )


class Kubeflow(Section):
    """What `retrain compile`, `submit` and `schedule` need to know of the cluster."""

    data_root: Location | None = Field(
        None,
        description="data.root as the containers see it. If left out, data.root itself.",
        examples=["/mnt/retrain/data/cifar10"],
    )
    output: Location | None = Field(
        None,
        description="output as the containers see it; the model store is models/{name} in it,"
        " unless push.model_store names another that they see too. If left out, output itself.",
        examples=["/mnt/retrain/runs/cifar10"],
    )
    split_folders: bool = Field(
        False,
        description="Whether spans come in train, val and test folders; only asked for where"
        " data.root is not on the machine that compiles.",
    )
    pipeline_root: str | None = Field(
        None,
        pattern=r"^(gs|s3|minio)://[^/]",
        description="Where KFP keeps artifacts. If left out, what the cluster is set up for.",
        examples=["minio://mlpipeline/v2/artifacts"],
        json_schema_extra={"allowed": "minio://…, s3://… or gs://…"},
    )
    every_step: Step | None = Field(
        None,
        description="What every step's container gets.",
        examples=[{"image": "registry.example.com/retrain:1", "memory": 4.0}],
    )
    steps: dict[str, Step] | None = Field(
        None,
        description="What single steps get instead, by the step's name.",
        examples=[{"trainer": {"cpu": 4.0, "memory": 16.0}}],
        json_schema_extra={"allowed": "a mapping of steps' names to the keys of every_step"},
    )

    def step(self, name: str) -> Step:
        """Returns `every_step` overridden by the step's own; merges `env` and `node_selector`."""
        common = (self.every_step or Step()).model_dump(exclude_none=True)
        own = (self.steps or {}).get(name, Step()).model_dump(exclude_none=True)
        for key in ("env", "node_selector"):
            if key in common and key in own:
                own[key] = {**common[key], **own[key]}
        return Step.model_validate({**common, **own})
