"""What Hydra finds of alsuite: a sweeper, a launcher, and the names of the folders that runs lie in."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from alsuite.command import names

__all__ = ["ExperimentSweeper", "ProcessLauncher"]


class ExperimentSweeper(Sweeper):
    """Makes the jobs of a command line: an experiment's sweeps, or the values that it lists; then draws."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from hydra.core.plugins import Plugins

        self.config = config
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Sequence[JobReturn]:
        from alsuite.command.sweeps import Composer, jobs_of, launched

        composer = Composer(self.hydra_context.config_loader, [*self.config.hydra.overrides.hydra])
        return launched(self.launcher, self.config, jobs_of(arguments, composer))


class ProcessLauncher(Launcher):
    """Runs jobs side by side: a core each, or as many as a GPU's memory holds."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config = config
        self.hydra_context = hydra_context

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from alsuite.command.processes import launched

        return launched(self.hydra_context.config_loader, self.config, job_overrides, initial_job_idx)


def _register() -> None:
    store = ConfigStore.instance()
    for group, name, kind in (("sweeper", "alsuite", ExperimentSweeper), ("launcher", "processes", ProcessLauncher)):
        store.store(group=f"hydra/{group}", name=name, node={"_target_": f"{__name__}.{kind.__name__}"})
    for name, resolver in names.RESOLVERS.items():
        OmegaConf.register_new_resolver(name, resolver, replace=True)


_register()
