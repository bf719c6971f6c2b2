"""The loggers of this package, as any plugin declares its own."""

from diffx_core import Component, hookimpl


@hookimpl
def diffx_loggers() -> list[Component]:
    """Where figures can be written."""
    return [
        Component("csv", "diffx_loggers.csv_file:CsvFile", "A table in the folder of the run"),
        Component(
            "tensorboard",
            "diffx_loggers.tensorboard:TensorBoard",
            "Event files for TensorBoard in the folder of the run",
        ),
        Component("wandb", "diffx_loggers.wandb:Wandb", "Weights & Biases, offline or online"),
        Component("mlflow", "diffx_loggers.mlflow:MLflow", "MLflow, in a local folder or a server"),
    ]
