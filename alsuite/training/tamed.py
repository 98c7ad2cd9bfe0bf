"""Lightning without what it does beside fitting: it warns, and takes the signals that would end the process."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pytorch_lightning.callbacks import Callback, LambdaCallback

__all__ = ["tamed"]


@contextmanager
def tamed() -> Iterator[Callback]:
    """Keep Lightning quiet within the block, and let signals end the process at once; yield what its Trainer needs.

    On SIGTERM it would go on to the end of the block of steps, which may be minutes, and then exit as if all had gone
    well; of Ctrl-C it makes an exit that says nothing.
    """
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.ERROR)
    before = signal.getsignal(signal.SIGTERM)

    def give_back(*_: object) -> None:
        """Have SIGTERM do what it did before the fit, once Lightning has taken it, as it does in the main thread."""
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield LambdaCallback(on_train_start=give_back)
    except SystemExit as ended:
        if isinstance(ended.__context__, KeyboardInterrupt):
            raise ended.__context__ from None
        raise
    finally:
        logger.setLevel(level)
