"""What Hydra finds of alsuite: a sweeper, launchers, and the names of the folders that runs lie in.

Hydra imports every module of `hydra_plugins` at each start, also when another program starts it: so nothing of
alsuite that takes long is imported here before it is used.
"""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from alsuite.command import names

__all__ = ["ExperimentSweeper", "ProcessLauncher", "SlurmLauncher"]


class ExperimentSweeper(Sweeper):
    """Makes the jobs of a command line: an experiment's sweeps, or the values that it lists; then draws.

    It hands them to whatever launcher is configured, alsuite's own or one of Hydra's.
    """

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra gives a sweeper, for the launcher as well."""
        self.loader = hydra_context.config_loader
        self.composed = config
        self.jobs_launcher = Plugins.instance().instantiate_launcher(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> Sequence[JobReturn]:
        """Run all jobs that the options ask for."""
        from alsuite.command.around import handed_over
        from alsuite.command.sweeps import Composer, jobs_of

        composer = Composer(self.loader, [*self.composed.hydra.overrides.hydra])
        silent = not isinstance(self.jobs_launcher, ProcessLauncher)
        return handed_over(self.jobs_launcher, jobs_of(arguments, composer), silent)


class ProcessLauncher(Launcher):
    """Runs jobs side by side: a core each where there are enough, on a GPU as many as its memory holds."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.loader = hydra_context.config_loader
        self.composed = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run jobs, and return what Hydra wants to know of each.

        Arguments:
            job_overrides: the options of each
            initial_job_idx: the number of the first
        """
        from alsuite.command.launching import in_processes, in_this_process, launched

        run = in_this_process if len(job_overrides) == 1 else in_processes
        return launched(self.loader, self.composed, job_overrides, initial_job_idx, run)


class SlurmLauncher(ProcessLauncher):
    """Runs jobs as an array of Slurm's, a task each."""

    def __init__(self, **options: object) -> None:
        """Keep the options, which are those of Hydra's submitit_slurm."""
        self.options = {
            key: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
            for key, value in options.items()
        }

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run jobs, and return what Hydra wants to know of each."""
        from alsuite.command.launching import executed, launched
        from alsuite.command.slurm import Array

        return launched(self.loader, self.composed, job_overrides, initial_job_idx, Array(executed, self.options))


def _register() -> None:
    """Put the sweeper, the launcher and the names where configurations find them."""
    store = ConfigStore.instance()
    for group, name, kind in (("sweeper", "alsuite", ExperimentSweeper), ("launcher", "processes", ProcessLauncher)):
        store.store(group=f"hydra/{group}", name=name, node={"_target_": f"{__name__}.{kind.__name__}"})
    for name, resolver in names.RESOLVERS.items():
        OmegaConf.register_new_resolver(name, resolver, replace=True)


_register()
