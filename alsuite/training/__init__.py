"""How networks learn: streams of batches, the one fit, losses, the adversarial game, and what is trained once.

`fit` and `descent` serve every training; `game` is that of VAAL's family; `once` and `weights` keep what several runs
share; `rehearsal` does a little of long work to tell how long all of it takes.
"""
