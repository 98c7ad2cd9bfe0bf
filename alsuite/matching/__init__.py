"""How ASAL finds the pool's image nearest to a synthetic one: features, their projection, and an index over them."""
