"""What the command line asks for: which runs, side by side, with their progress, and what each depends on.

A command line goes this way: `sweeps` makes jobs of it and `papers` adds to each what its strategy's paper used;
`names` calls their folders; `processes` starts them side by side, or `run` the only one in this process; `run` builds
a run's parts with `setting` and hands them to `alsuite.loop`. `progress` shows what the runs tell, `first_words` says
beforehand what one costs, `identity` and `code` what its numbers depend on, and `complaints` what a person can mend.
"""
