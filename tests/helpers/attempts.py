"""Real processes of `mae`, many of them in little time.

Starting Python with torch takes seconds, so one process imports everything and then forks a child per attempt, before
any tensor is computed. Children share nothing but the imports.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

SERVER = """
import atexit, functools, gc, hashlib, importlib, json, os, signal, sys, threading, time
sys.modules["triton"] = None  # which nothing on a CPU needs, and which tells of whatever is left as a process ends
import torch, torch._dynamo
torch.set_num_threads(1)
os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))  # else threads of a child make its pool together
import torch.distributed.fsdp, torch.distributed.tensor
import maecli.cli.verbs, maecli.verbs.demo, maecli.verbs.embed, maecli.verbs.eval, maecli.verbs.train
import maecli.layouts.read, maecli.parallel.lead, maecli.run.probe
import matplotlib.backends.backend_agg, matplotlib.backends.backend_svg, matplotlib.pyplot
from PIL import Image
from maecli.registry import registry
from maecli.reports import canvas, page, vector
from maecli.run import environment
from maecli.training import checkpoint
from maecli.training.checkpoint_folder import CheckpointFolder
registry().dataset("folder"), registry().model("vit"), registry().tracker("jsonl"), registry().modality("pictures")
[registry().task(name) for name in registry().names("task")]
Image.init()
page.template("page.html")
pixel = canvas.encode_png(Image.new("L", (1, 1)))  # as `without_charts` has it: charts take most of a toy run
canvas.to_png, vector.to_svg = lambda figure, notes: pixel, lambda figure, colours: ""
environment.git_revision = functools.cache(environment.git_revision)
environment.git_revision()  # which each child knows then, for which it would start git three times

def die_while_writing(file_name, count):
    save, seen = checkpoint.save_file, [0]
    def half(tensors, path, packed):
        save(tensors, path, packed)
        seen[0] += path.name == file_name
        if seen[0] == count:
            os.truncate(path, os.path.getsize(path) // 2)
            os.kill(os.getpid(), signal.SIGKILL)
    checkpoint.save_file = half

def die_before_pointing(pointer, count):
    point, seen = CheckpointFolder.point, [0]
    def never(self, name, target):
        seen[0] += name == pointer
        if seen[0] == count:
            os.kill(os.getpid(), signal.SIGKILL)
        point(self, name, target)
    CheckpointFolder.point = never

def die_at_call(number):
    seen = [0]
    def counted(call):
        def watched(*arguments, **options):
            seen[0] += 1
            if seen[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)
        return watched
    os.fsync, os.replace = counted(os.fsync), counted(os.replace)

def hold(target, how):
    module, _, names = target.partition(":")
    owner = importlib.import_module(module)
    *path, last = names.split(".")
    for name in path:
        owner = getattr(owner, name)
    def held(*_, **__):
        os.write(2, b"held\\n")
        if how == "asleep":
            time.sleep(120)
        hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # minutes, in which no signal is looked at
    setattr(owner, last, held)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background is started without
    if how == "asleep":  # what sleeps is interrupted at once: however slow a machine is, it has the time to say so
        from maecli.cli import interruption
        interruption.GRACE_S = 60

def stop_at(step):
    from maecli.training.loop.trainer import Trainer
    train_step = Trainer.train_step
    def stopping(self, batch):
        train_step(self, batch)
        if self.step + 1 == step:
            os.kill(os.getpid(), signal.SIGTERM)
    Trainer.train_step = stopping

def stop_in_measuring():
    from maecli.run import together
    measure = together.measure
    def stopping(*arguments, **options):
        os.kill(os.getpid(), signal.SIGTERM)
        return measure(*arguments, **options)
    together.measure = stopping

def in_step(step, act):
    from maecli.training.loop.trainer import Trainer
    train_step = Trainer.train_step
    def acting(self, batch):
        if self.step + 1 == step:
            act(batch)
        train_step(self, batch)
    Trainer.train_step = acting

def until_told():
    before = signal.getsignal(signal.SIGTERM)
    while signal.getsignal(signal.SIGTERM) is before:  # the first signal gives back the handlers that it found
        time.sleep(0.01)

def wait_in(step):
    in_step(step, lambda batch: (os.write(2, b"held\\n"), until_told()))

def die_at(step):
    in_step(step, lambda batch: os.kill(os.getpid(), signal.SIGKILL))

def launch_by_forks(step, whom="itself"):
    from torch.distributed.launcher import api
    elastic_launch = api.elastic_launch
    launcher = os.getpid()
    def worker(*words):
        torch.multiprocessing._prctl_pr_set_pdeathsig(0)  # which no process has that is started as a program
        if os.environ["RANK"] == "1" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
            if step == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            if whom == "launcher":
                in_step(step, lambda batch: (os.kill(launcher, signal.SIGKILL), until_told()))
            else:
                die_at(step)
        sys.argv = ["mae", *words]
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise
    def forking(config, program):
        def launch(*words):
            assert (program, *words[:2]) == (sys.executable, "-m", "maecli")
            config.start_method = "fork"
            return elastic_launch(config, worker)(*words[2:])
        return launch
    api.elastic_launch = forking

def lose_numbers(step):
    in_step(step, lambda batch: batch.tensors["image"].fill_(float("nan")))

def lose_val(step):
    from maecli.loading.loader import Loader
    in_step(step, lambda batch: setattr(Loader, "eval_batches", lambda *_, **__: iter(())))

def hang_at(step, seconds):
    from maecli.parallel import world
    world.HANG_S, world.STORE_S, world.ROLL_CALL_S = seconds, seconds / 2, seconds / 16
    in_step(step, lambda batch: os.kill(os.getpid(), signal.SIGSTOP))  # its threads too

def keep_group():
    from maecli.parallel import lead
    start, kept = lead.start, []
    def starting(*place):
        started = start(*place)
        kept.append(torch.distributed.group.WORLD)  # as modules of torch do that are imported afterwards
        return started
    lead.start = starting

def no_memory_for(num, step, seconds):
    from maecli.parallel import world
    from maecli.training.loop.trainer import Trainer
    world.HANG_S = seconds
    train_step = Trainer.train_step
    def short(self, batch):
        if self.step + 1 == step:
            loss = self.task.loss
            def narrow(module, micro):
                if len(micro) > num:
                    raise MemoryError
                return loss(module, micro)
            self.task.loss = narrow
        train_step(self, batch)
    Trainer.train_step = short

def fail_to_read():
    from maecli.errors import BrokenSample
    from maecli.loading import reading
    def broken(split, index):
        raise BrokenSample("01.png", "truncated")
    reading.read_sample = broken

def see_others():
    from maecli.run import together
    together._digest = lambda built: "other"

def disk_is_full():
    from maecli.training import checkpoint_folder
    def full(*_):
        raise OSError(28, "No space left on device")
    checkpoint_folder.write_tensors = full

def note_state(path, step=0):
    from maecli.training.loop.trainer import Trainer
    fit = Trainer.fit
    def noting(self):
        spread = self.learner.spread
        def spreading():
            spread()
            snapshot = self.snapshot()
            noted = hashlib.sha256()
            for name, tensor in sorted([*snapshot.model.items(), *snapshot.state.items()]):
                whole = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
                noted.update(name.encode() + whole.detach().numpy().tobytes())
            with open(f"{path}-{self.world.rank}", "w") as file:
                json.dump([self.step, noted.hexdigest()], file)
        self.learner.spread = spreading
        fit(self)
    Trainer.fit = noting
    if step:
        stop_at(step)

def allow(limit, number):
    import resource
    resource.setrlimit(getattr(resource, limit), (number, number))

def little_memory(num_bytes):
    import resource
    from maecli.run import train
    start, step = train.start_encoder, train.Trainer._step_within_memory
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    def limit(*arguments, **options):  # here all libraries are loaded, whose files count too
        pages = int(open("/proc/self/statm").read().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + num_bytes, hard))
        return start(*arguments, **options)
    def unlimited_then(self, batch):
        step(self, batch)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))  # a save starts threads, of 8 MiB each
    train.start_encoder, train.Trainer._step_within_memory = limit, unlimited_then

def shared_memory_of(size):
    import ctypes, subprocess
    assert ctypes.CDLL(None).unshare(0x20000) == 0  # CLONE_NEWNS
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", "/dev/shm"], check=True)

def end_soon(main):
    try:
        main()
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        threading._shutdown(), atexit._run_exitfuncs()
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(end.code or 0)

gc.collect()
gc.freeze()  # or each child looks through half a million things that stay, several times
for line in sys.stdin:
    order = json.loads(line)
    if "wait" in order:
        print(os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1]), flush=True)
        continue
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.environ.update(order["environment"])
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1), os.dup2(log, 2)
        if order["trap"]:
            globals()[order["trap"][0]](*order["trap"][1:])
        from maecli.cli import main
        sys.argv = ["mae", *order["args"]]
        main() if order["whole"] else end_soon(main)
    print(child, flush=True)
"""


class Attempt:
    """One process that runs `mae`; several may run at once."""

    ends_as_a_whole = False
    """Whether the interpreter is taken apart at the end, which takes 0.4 s, the half of a run; all else is done."""

    def __init__(
        self,
        server: subprocess.Popen[str],
        log: Path,
        args: list[str],
        trap: list[Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.log, self._server = log, server
        whole, environment = self.ends_as_a_whole, dict(environment or {})
        self.pid = self._ask(args=args, log=str(log), trap=trap, environment=environment, whole=whole)

    def wait(self) -> int:
        """Return the exit code, or minus the signal that ended the process."""
        code = self._ask(wait=self.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # its data workers notice only after a while that it is gone
        return code

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def _ask(self, **order: Any) -> int:
        """Return what the server answers to an order."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())


def processes(
    server: subprocess.Popen[str], num: int, log: Path, args: list[str], traps: Mapping[int, list[Any]] | None = None
) -> list[Attempt]:
    """Run `mae` in several processes that belong together, as torchrun starts them; each has a log of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        "WORLD_SIZE": str(num),
        "LOCAL_WORLD_SIZE": str(num),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    return [
        Attempt(
            *(server, log.with_name(f"{log.name}-{rank}"), args, (traps or {}).get(rank)),
            shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(num)
    ]


@contextlib.contextmanager
def serving() -> Iterator[subprocess.Popen[str]]:
    """Give the process that forks attempts."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
