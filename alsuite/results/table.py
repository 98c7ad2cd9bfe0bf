def last_accuracies(frame):
    return str(frame.groupby("run").tail(1)[["run", "accuracy"]])
