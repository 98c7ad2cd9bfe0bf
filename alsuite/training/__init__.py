"""How networks learn: streams of batches, the one fit, losses, the adversarial game, and what is trained once."""
