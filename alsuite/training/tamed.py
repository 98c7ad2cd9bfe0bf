"""Lightning without what it does beside fitting: it warns, and takes the signals that would end the process.

Of what torch warns of, that alone is told which makes a run that was to be the same each time differ.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from pytorch_lightning.callbacks import Callback, LambdaCallback
from torch.optim.optimizer import register_optimizer_step_post_hook

from alsuite.progress import say

__all__ = ["tamed"]

DIFFERS = "does not have a deterministic implementation"
_told: set[str] = set()  # each is told once


@contextmanager
def tamed() -> Iterator[Callback]:
    """Keep Lightning quiet within the block, and let signals end the process at once; yield what its Trainer needs.

    On SIGTERM it would go on to the end of the block of steps, which may be minutes, and then exit as if all had gone
    well; of Ctrl-C it makes an exit that says nothing. A block of many steps is one to its autocast, which may keep
    weights as they were cast for the first.
    """
    if not torch.cuda.is_available():  # its "1" would have every step of Adam look for a driver, 100 us
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.ERROR)
    before = signal.getsignal(signal.SIGTERM)

    def give_back(*_: object) -> None:
        """Have SIGTERM do what it did before the fit, once Lightning has taken it, as it does in the main thread."""
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)

    recast = register_optimizer_step_post_hook(lambda *_: torch.clear_autocast_cache())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("once", f".*{DIFFERS}")
        try:
            yield LambdaCallback(on_train_start=give_back)
        except SystemExit as ended:
            if isinstance(ended.__context__, KeyboardInterrupt):
                raise ended.__context__ from None
            raise
        finally:
            recast.remove()
            logger.setLevel(level)
    tell({str(one.message).partition(DIFFERS)[0] for one in caught})


def tell(differing: Iterable[str]) -> None:
    """Tell of each operation, once, that it makes runs differ which were to be the same."""
    for operation in sorted({*differing} - _told):
        _told.add(operation)
        say(f"deterministic=true: {operation.strip()} sums in no fixed order, so that another run may differ")
