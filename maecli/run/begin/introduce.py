"""What is told of a run before it starts."""

from __future__ import annotations

from maecli.hardware import describe_device
from maecli.parallel.lead import world
from maecli.run.begin.balance import balance_lines
from maecli.run.begin.cautions import cautions
from maecli.run.data.what_was_read import what_was_read
from maecli.run.open import Built
from maecli.text import number_of, one_line
from maecli.training.loop.optim import peak_rate
from maecli.training.loop.trainer import Trainer

RELEVANT = 0.02
"""Share of an epoch that is left out, from which it is told."""


def introduce(built: Built, trainer: Trainer, start: str, planned: str = "") -> str:
    """Return the facts of a run before it starts, one per line, and how it was planned if it was."""
    spec, parameters = built.spec, list(built.module.parameters())
    num_train, num_val = len(built.loader("train").split), len(built.loader("val").split)
    model = f"{spec.model.name}, {sum(p.numel() for p in parameters):,} parameters"
    if spec.train.freeze or spec.train.freeze_blocks or spec.adapt is not None:
        model += f", of which {sum(p.numel() for p in parameters if p.requires_grad):,} learn"
    size = "×".join(str(length) for length in built.preprocess.img_size)
    reading = what_was_read(built.card, len(built.data.faults), built.data.num_broken_samples())
    lines = [
        f"data    {one_line(built.card.title)}: {num_train:,} train, {num_val:,} val",
        *(f"        {line}" for line in reading),
        f"model   {model}, {size} × {built.preprocess.in_chans} channels, {start}",
    ]
    if spec.data.labels is not None:
        lines.append(f"labels  {built.data.training.description}")
    lines += balance_lines(built)
    if spec.train.freeze and spec.init is None:
        lines.append("baseline    without --init the frozen encoder is random: what a pretrained one has to beat")
    lines += batch_lines(trainer)
    if (patience := spec.train.patience) is not None:
        lines.append(f"        stops after {number_of(patience, 'validation')} without a better metric on val")
    if planned:
        lines.append(f"plan    {planned}")
    unit = built.preprocess.modality.unit
    notes = cautions(spec.train, num_train, unit, trainer.schedule.steps_per_epoch, trainer.schedule.total_steps)
    lines += [f"note    {note}" for note in notes]
    each = f", in each of {world().size} processes" if world().size > 1 else ""
    lines.append(f"device  {describe_device(built.device)}, {str(built.dtype).removeprefix('torch.')}{each}")
    return "\n".join(lines)


def batch_lines(trainer: Trainer) -> list[str]:
    """Return how many steps there are, of how many samples, at which rate, and what of an epoch they leave out."""
    batching, asked, unit = trainer.schedule.batching, trainer.spec.train, trainer.train_loader.preprocess.modality.unit
    size, dropped = batching.batch_size, batching.num_dropped
    rate = f"{peak_rate(trainer.schedule.settings):.3g} (base_lr {asked.base_lr:g} × {size} / 256)"
    lines = [
        f"run     {number_of(trainer.schedule.total_steps - trainer.begin, 'step')} of {size}, learning rate {rate}"
    ]
    if batching.num_samples < asked.batch_size:
        lines.append(f"        a batch of {asked.batch_size} is more than there are, so every step sees all {unit}")
    if dropped >= RELEVANT * batching.num_samples:
        lines.append(
            f"        each epoch leaves out {dropped:,} of {batching.num_samples:,} {unit}, others each time, since "
            f"batches of {size} do not divide it; --set train.last_batch=keep takes them"
        )
    return lines
