"""Out into the world: what a file for another tool holds of a run, and how it is compared before it is called done.

A format is a plugin (`ExportFormat`). It is handed an `ExportedModel`: the trained module, what a checkpoint records, a
few real samples, and, where the task and the kind of samples have one, a `Graph` from raw samples to named answers.
"""
