def completed(overrides, compose):
    return [*overrides]
