"""The training loop: steps with free weights, then weights go onto the hardware's grid if asked for."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from qif2hw.errors import InputError
from qif2hw.files import check_writable
from qif2hw.ir.weight_grid import closest_unit, nearest_unit
from qif2hw.nn.network import QIFNetwork
from qif2hw.seeds import check_seed
from qif2hw.threads import one_blas_thread
from qif2hw.train import checkpoint as saved
from qif2hw.train import finish as second_order
from qif2hw.train.evaluate import REPORTED, diagnosis_of, evaluate, evenly, with_solution
from qif2hw.train.goal import Goal
from qif2hw.train.memory import keep_pages
from qif2hw.train.objective import regression
from qif2hw.train.optim.adam import FlatAdam
from qif2hw.train.optim.gauss_newton import GaussNewton
from qif2hw.train.optim.soap import Soap
from qif2hw.train.quantize import IncrementalQuantizer
from qif2hw.train.result import TrainResult
from qif2hw.train.rounding import rounding_of
from qif2hw.train.schedule import FEW_BITS, Stage, plan
from qif2hw.train.task import Model, Samples, Settings, Task
from qif2hw.train.watch import Watch

Progress: TypeAlias = Callable[[int, int, float, float], None]
"""Called with the number of steps done, their total number, the loss and the error on a part of the test set."""

REPORTS = 50
"""Number of reports to `Progress` in a run."""
SAVE_EVERY = 250
"""Steps between two checkpoints."""
SAVE_FINISH_EVERY = 10
"""The same for second-order steps, which take longer."""


def train(
    task: Task,
    *,
    seed: int = 0,
    steps: int | None = None,
    weight_bits: int | None = None,
    progress: Progress | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    teacher: Model | None = None,
    time_limit: float | None = None,
    goal: Goal | None = None,
) -> TrainResult:
    """Train a network for ``task``.

    Parameters
    ----------
    task
        The problem.
    seed
        Of the initialisation and of the order of the samples: the same seed gives the same weights, bit for bit, on any
        number of threads (torch has one meanwhile; the compiled kernels use all).
    steps
        Steps with free weights, instead of the task's own number; a teacher's are cut in proportion.
    weight_bits
        Train on with weights on the hardware's grid of this number of bits (see `qif2hw.ir.weight_grid`).
    progress
        Called at most fifty times, the end included.
    checkpoint
        File for the state of the run (a teacher's lies beside it). If it exists the run goes on from there, with the
        same bits as an uninterrupted one.
    teacher
        The trained network of the task's teacher, if there is one already.
    time_limit
        Seconds after which to be done, of a task with a validation set: the rate decays in time for it.
    goal
        The training ends where it is reached; to look whether it is does not count as time of the training.

    Raises
    ------
    InputError
        On options that are not possible, a checkpoint of another run, and a file that cannot be written.
    """
    check_seed(seed)
    keep_pages()
    if goal is not None and checkpoint is not None:
        raise InputError("a training with a goal keeps no checkpoint: its time is what counts")
    path = None if checkpoint is None else check_writable(checkpoint)
    with one_blas_thread(), one_torch_thread():
        return _train(task, seed, steps, weight_bits, progress, path, teacher, time_limit, goal)


def _train(
    task: Task,
    seed: int,
    steps: int | None,
    weight_bits: int | None,
    progress: Progress | None,
    path: Path | None,
    teacher: Model | None,
    time_limit: float | None,
    goal: Goal | None,
) -> TrainResult:
    model, seconds, watch = _fit(task, seed, steps, weight_bits, progress, path, teacher, time_limit, goal)
    test_set = task.test_set()
    values = evaluate(task, model, test_set)
    return TrainResult(
        network=replace(model.to_network(), host=task.host),
        errors=task.errors(values, test_set.y),
        x=task.raw(test_set.x),
        y=values,
        truth=test_set.y,
        seconds=seconds,
        diagnosis=diagnosis_of(task, model, seed),
        steps=plan(task.settings, steps)[0].stop if watch is None else watch.steps,
        history=np.empty((0, 3)) if watch is None else watch.history,
    )


def _fit(
    task: Task,
    seed: int,
    steps: int | None,
    weight_bits: int | None,
    progress: Progress | None,
    path: Path | None,
    teacher: Model | None = None,
    time_limit: float | None = None,
    goal: Goal | None = None,
) -> tuple[Model, float, Watch | None]:
    """Train; the network, the seconds, those of earlier calls and of a teacher included, and what watched it."""
    settings = task.settings
    stages = plan(settings, steps, weight_bits)
    total = stages[-1].stop
    model = build(task, seed)

    if settings.finish_steps:
        second_order.check(task, model)

    def optimizer_after(done: int) -> saved.Optimizer:
        stage = next(stage for stage in stages if done <= stage.stop)
        if stage.second_order:
            return GaussNewton(second_order.parameters(model), window=stage.window, follow=not stage.freezes)
        return (Soap if stage.weights_move and settings.optimizer == "soap" else FlatAdam)(model.parameter_groups())

    optimizer = optimizer_after(0)
    identity = {
        "task": task.name,
        "sizes": list(task.sizes),
        "seed": seed,
        "steps": stages[0].stop,
        "weight_bits": weight_bits,
        "settings": asdict(settings),
        "data": task.digest,
    }
    before = 0.0
    if task.teacher is not None and teacher is None:
        taught = None if steps is None else max(1, round(steps * task.teacher.settings.steps / settings.steps))
        beside = None if path is None else path.with_name(f"{path.name}.teacher")
        teacher, before, _ = _fit(task.teacher, seed, taught, None, progress, beside)
    if task.starts_from_teacher and teacher is not None:
        with torch.no_grad():
            for own, given in zip(model.parameter_groups(), teacher.parameter_groups(), strict=True):
                for parameter, value in zip(own, given, strict=True):
                    parameter.copy_(value)
    finish = second_order.finish_of(task, model, seed, teacher) if settings.finish_steps else None
    rounding = None
    in_rounds = finish is not None and weight_bits is not None and weight_bits > FEW_BITS
    if in_rounds:
        rounding = rounding_of(task, model, seed, teacher)
    quantizer = None
    if any(stage.freezes for stage in stages):
        quantizer = IncrementalQuantizer(model.parameter_groups()[0], weight_bits or 8)
    others = {} if quantizer is None else quantizer.state()
    of_loss = task.objective or regression
    if time_limit is not None and (task.validation_set is None or steps is not None):
        raise InputError("a time limit is for a task with a validation set, and without a number of steps")
    started = time.perf_counter()
    watch = None
    if task.validation_set is not None:
        each = 0.0
        if finish is not None and time_limit is not None:
            each = second_order.seconds_of_a_step(finish, model)
        # Its loss, all samples at once: the training loss on another set.
        apart = replace(task, train_set=task.validation_set, settings=replace(settings, batch=None))
        watch = Watch(model, of_loss(apart, model, seed, teacher), settings, weight_bits, stages[0].stop, each)
        others = others | watch.state()
    slowness = second_order.Slowness(stages[0].stop)
    if finish is not None:
        others = others | slowness.state()
    done = 0
    if path is not None and path.exists():
        if watch is not None:
            watch.restore(path, saved.read_state(path, identity)[1])
            stages = plan(settings, watch.steps, weight_bits)
            total = stages[-1].stop
        scalars, optimizer = saved.read(path, identity, total, optimizer_after, others)
        done, before = int(scalars["done"]), before + float(scalars["seconds"])
    objective = of_loss(task, model, seed, teacher)
    imitates = False
    test_set = task.test_set() if task.validation_set is None else with_solution(task, task.validation_set(seed))
    looked_at = evenly(len(test_set.x), task.block, REPORTED)
    test_set = Samples(test_set.x[looked_at], test_set.y[looked_at])
    report_every = max(1, total // REPORTS)
    while done < total:
        step = done
        stage = next(s for s in stages if step < s.stop)
        if stage.rounds and watch is not None and task.objective is None and not imitates:
            imitates, apart = True, watch.imitated(task, seed)
            objective = of_loss(apart, model, seed, teacher)
            finish = second_order.finish_of(apart, model, seed, teacher) if settings.finish_steps else None
            rounding = rounding_of(apart, model, seed, teacher) if in_rounds else None
        model.weight_bits = stage.weight_bits
        rate = stage.rate_at(step)
        if step == stage.start:
            optimizer = optimizer_after(step + 1)
        if quantizer is not None and stage.rounds:
            if stage.freezes and step == stage.start:
                quantizer.choose_units(closest_unit if rounding is None else nearest_unit)
            if rounding is None or not stage.freezes:
                quantizer.freeze(stage.groups_at(step), everything=not stage.freezes)
        done = step + 1
        if rounding is not None and quantizer is not None and stage.freezes:
            loss = rounding(step - stage.start, quantizer, done == stage.stop)
            ends = quantizer.complete
        elif isinstance(optimizer, GaussNewton):
            assert finish is not None
            loss = finish(optimizer, step, rate, quantizer if stage.rounds else None)
            ends = optimizer.ended
        else:
            loss = _first_order(objective(step), optimizer, quantizer if stage.freezes else None, stage, rate, settings)
            early = finish is not None and settings.finish_early and stage is stages[0]
            ends = early and slowness.after(loss)
        model.keep_inside()
        if watch is not None and stage is stages[0]:
            if ends:
                watch.note_slowness()
                ends = False
            limit = None if time_limit is None else time_limit - before
            if watch.after(done, loss, time.perf_counter() - started, limit, early=steps is None):
                stages = plan(settings, watch.steps, weight_bits)
                total = stages[-1].stop
            if finish is not None and watch.settled and done == stages[0].stop:
                done = stages[1].stop
                optimizer = optimizer_after(done)
        elif watch is not None and not stage.rounds:
            ends = watch.after_second_order(done, loss, stage, ended=ends)
        if ends:
            done = stage.stop
        if goal is not None:
            paused = time.perf_counter()
            if goal.reached(model, before + paused - started, last=done == total):
                done = total
            started += time.perf_counter() - paused
        last = done == total
        if progress is not None and (last or done // report_every > step // report_every):
            errors = task.errors(evaluate(task, model, test_set), test_set.y)
            progress(done, total, loss, max(e.relative for e in errors.values()))
        save_every = SAVE_FINISH_EVERY if stage.second_order else SAVE_EVERY
        if path is not None and (last or done // save_every > step // save_every):
            seconds = before + time.perf_counter() - started
            saved.write(path, {**identity, "done": done, "seconds": seconds}, optimizer, others)
    model.weight_bits = weight_bits
    return model, before + time.perf_counter() - started, watch


def _first_order(
    loss: Tensor,
    optimizer: FlatAdam | Soap,
    quantizer: IncrementalQuantizer | None,
    stage: Stage,
    rate: float,
    settings: Settings,
) -> float:
    """A step along the gradient of a loss; ``quantizer`` while weights go onto the grid.  Returns the loss."""
    optimizer.zero_grad()
    loss.backward()
    if quantizer is not None:
        quantizer.note_gradients()
    optimizer.step((rate if stage.weights_move else 0.0, rate), settings.clip)
    if quantizer is not None:
        quantizer.keep()
    return float(loss)


def build(task: Task, seed: int) -> Model:
    """The untrained network of a task."""
    if task.make is not None:
        return task.make(task, seed)
    return QIFNetwork(
        task.sizes, scale=task.scale, offset=task.offset, regime=task.regime, fields=task.fields, seed=seed
    )


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let torch use one thread meanwhile: the bits of its sums depend on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
