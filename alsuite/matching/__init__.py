"""How images that were made are matched with the pool's: features, their projection, and the search for the nearest.

`features` and `projection` turn images into vectors, `index` gives each made one a row of the pool that no other has,
and finds it by `neighbours`, which reads all rows, or by `inverted_file`, which reads some of them.
"""
