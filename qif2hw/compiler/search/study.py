"""The search itself: Optuna proposes settings in batches, workers try them, a journal in the folder remembers."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qif2hw import reference
from qif2hw.compiler.default_inputs import spread
from qif2hw.compiler.error_measures import by_size, check_not_zero
from qif2hw.compiler.search.bulk import run_bulk
from qif2hw.compiler.search.front import pareto, picture
from qif2hw.compiler.search.setting import COSTS, OBJECTIVES, Outcome, SearchProblem, Setting, compile_setting, evaluate
from qif2hw.compiler.targets import load_target
from qif2hw.errors import InputError
from qif2hw.estimate import rates_for
from qif2hw.files import write_text
from qif2hw.folders import check_folder, made_folder
from qif2hw.ir import Network, onnx_io
from qif2hw.workers import Workers

JOURNAL, FRONT, PICTURE = "journal.log", "front.json", "front.svg"
STEPS = (32, 48, 64, 96, 128, 192, 256, 384, 512)
FORMS = ("cotangent", "plane")


@dataclass(frozen=True)
class SearchOptions:
    """How to search.

    Parameters
    ----------
    trials
        Settings to try in all, those of an interrupted search included.
    batch
        Settings proposed at once: the result depends on it, but not on the number of workers.
    sampler
        ``nsga2`` (evolution) or ``tpe`` (a model of good and bad settings).
    target, rounding
        As for compiling.
    samples, check
        Inputs that a setting is tried on, and others on which the front is measured at the end.
    seed
        Of the proposals.
    objectives
        What is minimised, two or more of `OBJECTIVES` and `COSTS`.
    """

    trials: int = 64
    batch: int = 16
    sampler: str = "nsga2"
    target: str = "loihi2"
    rounding: str = "adapt"
    samples: int = 256
    check: int = 1024
    seed: int = 0
    objectives: tuple[str, ...] = OBJECTIVES

    def __post_init__(self) -> None:
        known = (*OBJECTIVES, *COSTS)
        if len(set(self.objectives)) < 2 or len(set(self.objectives) & {*known}) < len(self.objectives):
            raise InputError(
                f"objectives = {','.join(self.objectives)}: two or more of {', '.join(known)} are possible"
            )
        for name in ("trials", "batch", "samples", "check"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} = {getattr(self, name)}: at least one is needed")
        for name, choices in (("sampler", ("nsga2", "tpe")), ("rounding", ("adapt", "nearest"))):
            if getattr(self, name) not in choices:
                raise InputError(f"{name} = {getattr(self, name)}: {' and '.join(choices)} are possible")


@dataclass(frozen=True)
class Found:
    """A setting that was tried; ``unseen`` is its error on inputs that the search has not used, for the front."""

    setting: Setting
    outcome: Outcome
    unseen: float | None = None


def search(
    network: Network,
    folder: Path,
    options: SearchOptions,
    pool: Workers,
    *,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Found], list[Found]]:
    """Search, and write ``front.json`` and ``front.svg`` to the folder.

    A search that is refused before any setting could be compiled leaves nothing in it.

    Returns
    -------
    list of Found, list of Found
        The Pareto front, by error, and everything that was tried and could be compiled.

    Raises
    ------
    InputError
        If the network's results are all zero, so that there is no relative error; if the folder holds a search and
        ``resume`` is not set, or one of another network or with other options; if latency or energy is to be minimised
        on a target about which nothing is published.
    """
    target = load_target(options.target)
    if set(options.objectives) & {*COSTS} and rates_for(target.name) is None:
        raise InputError(f"target '{options.target}': nothing is published about its latency and energy")
    x = network.unscaled(spread(options.samples, network.width))
    _check_folder(folder, resume)
    exact = reference.run(network, x).y
    check_not_zero(network, exact)
    problem = SearchProblem(network, options.target, options.rounding, x, exact)
    journal = folder / JOURNAL
    begun, study = not journal.exists(), None
    with made_folder(folder):
        try:
            study = _study(network, folder, options)
            return _found(study, problem, folder, options, pool, progress)
        except InputError:
            useless = study is None or all(found.outcome.refused for found in _done(study))
            if begun and useless:
                journal.unlink(missing_ok=True)
            raise


def _found(
    study: Any,
    problem: SearchProblem,
    folder: Path,
    options: SearchOptions,
    pool: Workers,
    progress: Callable[[int, int], None] | None,
) -> tuple[list[Found], list[Found]]:
    """Try settings until enough are done, and write what was found."""
    network = problem.network
    done = _done(study)
    while len(done) < options.trials:
        # Seeded by what is done: a search that was interrupted goes on as if it had not been.
        study.sampler = _sampler(options, len(done))
        batch = options.batch - len(done) % options.batch
        trials = [study.ask() for _ in range(min(batch, options.trials - len(done)))]
        settings = [_suggest(trial, network, options) for trial in trials]
        known = {found.setting: found.outcome for found in done}
        new = list(dict.fromkeys(s for s in settings if s not in known))
        for count, outcome in enumerate(pool.map(evaluate, problem, new), 1):
            known[new[count - 1]] = outcome
            if progress is not None:
                progress(len(done) + count, options.trials)
        _tell(study, trials, [known[s] for s in settings], options.objectives)
        done = _done(study)
    every = [f for f in dict.fromkeys(done) if not f.outcome.refused]
    if not every:
        raise InputError(f"none of {len(done)} settings can be compiled: {done[0].outcome.refused}")
    aims = options.objectives
    front = sorted(pareto(every, lambda f: f.outcome.values(aims)), key=lambda f: f.outcome.values(aims))
    front = _measure(problem, front, options, pool)
    facts = {
        "objectives": list(aims),
        "options": asdict(options),
        "tried": len(done),
        "refused": len([f for f in done if f.outcome.refused]),
        "front": [_plain(found) for found in front],
    }
    write_text(folder / FRONT, json.dumps(facts, indent=2) + "\n")
    drawn = picture([f.outcome.values(aims) for f in every], [f.outcome.values(aims) for f in front], aims)
    write_text(folder / PICTURE, drawn)
    return front, every


def _plain(found: Found) -> dict[str, Any]:
    values = {name: value for name, value in asdict(found.outcome).items() if name != "refused"}
    return {"options": found.setting.options(), **values, "unseen_error": found.unseen}


def _measure(problem: SearchProblem, front: list[Found], options: SearchOptions, pool: Workers) -> list[Found]:
    """The front on inputs that the search has not used."""
    network = problem.network
    x = network.unscaled(np.random.default_rng(options.seed).random((options.check, network.width)))
    measure = by_size(reference.run(problem.network, x).y)
    return [Found(f.setting, f.outcome, measure(run_bulk(compile_setting(problem, f.setting), x, pool))) for f in front]


def _optuna() -> Any:
    try:
        import optuna
        import optuna.storages.journal
    except ImportError:
        raise InputError("the search needs the package optuna: pip install 'qif2hw[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _check_folder(folder: Path, resume: bool) -> None:
    """Whether the search can be written; nothing is made."""
    _optuna()
    if (folder / JOURNAL).exists() and not resume:
        raise InputError(f"{folder}: holds a search already: resume it, or take another folder")
    check_folder(folder, (JOURNAL, FRONT, PICTURE))


def _study(network: Network, folder: Path, options: SearchOptions) -> Any:
    optuna, journal = _optuna(), folder / JOURNAL
    asked = asdict(options) | {"objectives": list(options.objectives)}
    asked |= {"network": hashlib.sha256(onnx_io.to_bytes(network)).hexdigest()}
    # More trials, or others to check by, may be asked for when it goes on.
    asked = {k: v for k, v in asked.items() if k not in ("trials", "check")}
    try:
        backend = optuna.storages.journal.JournalFileBackend(str(journal))
        storage = optuna.storages.JournalStorage(backend)
        study = optuna.create_study(
            storage=storage, study_name="search", directions=["minimize"] * len(options.objectives), load_if_exists=True
        )
    except (ValueError, KeyError, json.JSONDecodeError) as error:
        raise InputError(f"{journal}: is not the journal of a search ({error})") from None
    before = study.user_attrs.get("asked")
    if before is None:
        _enqueue(study, network, options)
        study.set_user_attr("asked", asked)
    elif before != asked:
        other = next(name for name in asked if before.get(name) != asked[name])
        raise InputError(f"{folder}: holds a search with another {other}: take another folder")
    _ask_again(study, options)
    return study


def _ask_again(study: Any, options: SearchOptions) -> None:
    """What was asked for and lost when the search was interrupted is asked again.

    Of a batch that is noted in part, the rest; else what the search starts from, the sampler finds the others again.
    """
    state, in_part = _optuna().trial.TrialState, len(_done(study)) % options.batch > 0
    for trial in study.get_trials(deepcopy=False, states=[state.RUNNING]):
        study.tell(trial.number, state=state.FAIL)
        again = trial.params if in_part else trial.system_attrs.get("fixed_params")
        if again:
            study.enqueue_trial(again)


def _enqueue(study: Any, network: Network, options: SearchOptions) -> None:
    """Start from the ends: everything fine, everything coarse, and the middle."""
    most = _most(options)
    for bits, table, steps, payload in ((most["weights"], 7, 512, most["payload"]), (4, 5, 128, 4), (6, 6, 256, 6)):
        fixed: dict[str, Any] = {
            f"weight_bits_{k}": min(bits, most["weights"]) for k in range(len(network.projections))
        }
        fixed |= {"table_bits": table, "steps": steps, "payload_bits": min(payload, most["payload"]), "form": FORMS[0]}
        study.enqueue_trial(fixed, skip_if_exists=True)


def _most(options: SearchOptions) -> dict[str, int]:
    target = load_target(options.target)
    payload = target.limit("payload_bits")
    return {"weights": min(8, target.limit("weight_bits") or 8), "payload": 8 if payload is None else min(8, payload)}


def _suggest(trial: Any, network: Network, options: SearchOptions) -> Setting:
    most = _most(options)
    return Setting(
        tuple(trial.suggest_int(f"weight_bits_{k}", 2, most["weights"]) for k in range(len(network.projections))),
        trial.suggest_int("table_bits", 3, 8),
        trial.suggest_categorical("steps", STEPS),
        trial.suggest_int("payload_bits", 0, most["payload"]),
        trial.suggest_categorical("form", FORMS),
    )


def _sampler(options: SearchOptions, done: int) -> Any:
    optuna, seed = _optuna(), (options.seed + 1000 * done) % 2**32
    if options.sampler == "tpe":
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=options.batch)
    return optuna.samplers.NSGAIISampler(seed=seed, population_size=options.batch)


def _tell(study: Any, trials: list[Any], outcomes: list[Outcome], objectives: tuple[str, ...]) -> None:
    state = _optuna().trial.TrialState
    for trial, outcome in zip(trials, outcomes, strict=True):
        trial.set_user_attr("refused", outcome.refused)
        if not outcome.refused:
            trial.set_user_attr("outcome", asdict(outcome))
        if outcome.refused:
            study.tell(trial, state=state.FAIL)
        else:
            study.tell(trial, list(outcome.values(objectives)))


def _done(study: Any) -> list[Found]:
    """Everything tried so far, in order; trials that were lost are not among it."""
    found = []
    for trial in study.get_trials(deepcopy=False):
        if "refused" not in trial.user_attrs or not trial.state.is_finished():
            continue
        p = trial.params
        bits = tuple(p[f"weight_bits_{k}"] for k in range(sum(name.startswith("weight_bits_") for name in p)))
        setting = Setting(bits, p["table_bits"], p["steps"], p["payload_bits"], p["form"])
        refused = trial.user_attrs["refused"]
        found.append(Found(setting, Outcome(refused=refused) if refused else Outcome(**trial.user_attrs["outcome"])))
    return found
