"""Networks as their papers have them: they know tensors alone."""
