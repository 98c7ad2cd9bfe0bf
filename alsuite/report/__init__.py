"""A site of what was measured, for a browser: `make report`, or `python -m alsuite.report [EXPERIMENT...]`.

It has a page for each paper, figure and run, made from what is published and from the runs of the user's own
experiments. All that it needs lies beside it, so that it works without a network and without a server.
"""
