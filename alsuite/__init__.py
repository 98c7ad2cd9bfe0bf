"""Active learning for images: a pool, a strategy, an oracle and a journal."""
