"""What nobody set, planned from the data, the machine and a time: model, size, batch, steps, rate, augmentation.

`rules` says what suits which data, `timing` what a step takes here, `make` brings both together; nothing is trained.
"""
