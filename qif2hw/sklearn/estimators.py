"""A regressor and a classifier of scikit-learn, trained as ``qif2hw train TABLE`` does."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from qif2hw import api, reference
from qif2hw.bundle import Bundle
from qif2hw.data.columns import Numbers
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.spikes import Run
from qif2hw.train import train
from qif2hw.train.tables import TableOptions, choose_fields, table_task

LEAST_LIMIT = 1e-3
"""Seconds of a time limit that are left for the training at least."""


class _QIFEstimator(BaseEstimator):
    """What both have in common; the parameters are those of `QIFRegressor`."""

    def __init__(
        self,
        hidden: Sequence[int] | None = None,
        *,
        fields: int | None = None,
        finish: int | None = None,
        validation_fraction: float = 0.15,
        steps: int | None = None,
        time_limit: float | None = None,
        weight_bits: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.hidden = hidden
        self.fields = fields
        self.finish = finish
        self.validation_fraction = validation_fraction
        self.steps = steps
        self.time_limit = time_limit
        self.weight_bits = weight_bits
        self.random_state = random_state

    def _learn(self, x: FloatArray, y: NDArray[Any], *, first_spike: bool = False, **names: tuple[str, ...]) -> None:
        if len(x) < 2:
            raise ValueError(f"n_samples = {len(x)}: a training and a validation sample are needed, 2 or more")
        given = getattr(self, "feature_names_in_", [f"x{k}" for k in range(x.shape[1])])
        numbers = Numbers(x, y, tuple(map(str, given)), **names)
        hidden = None if self.hidden is None else tuple(self.hidden)
        options = TableOptions(
            hidden, self.fields, self.finish, first_spike, validation=self.validation_fraction, test=0.0
        )
        seed, name = int(check_random_state(self.random_state).randint(1 << 31)), type(self).__name__
        start, limit = time.perf_counter(), self.time_limit
        self.fields_ = choose_fields(name, numbers, options, seed, time_limit=limit).fields
        task = table_task(name, numbers, replace(options, fields=self.fields_), seed)
        if limit is not None:
            limit = max(limit - (time.perf_counter() - start), LEAST_LIMIT)
        result = train(task, seed=seed, steps=self.steps, weight_bits=self.weight_bits, time_limit=limit)
        self.network_, self.n_iter_, self.history_ = result.network, result.steps, result.history

    def _run(self, X: ArrayLike) -> Run:
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float64, reset=False)
        return reference.run(self.network_, self.network_.check_inputs(x, clip=True))

    def compile(self, **options: Any) -> Bundle:
        """The fitted network as a bundle; ``options`` and errors are those of `qif2hw.compile`."""
        check_is_fitted(self)
        return api.compile(self.network_, **options)


class QIFRegressor(RegressorMixin, _QIFEstimator):
    """A network of QIF neurons that learns numbers from numbers.

    It is trained as ``qif2hw train TABLE`` trains (`qif2hw.train.tables.table_task`), without a test set: the seed
    chooses the samples for validation, the parameters with the least validation loss are kept, and training ends where
    it falls no more.  Inputs are scaled by their range in ``fit`` and targets standardised, inside the network; inputs
    out of range are moved to its ends by ``predict``.

    Parameters
    ----------
    hidden
        Sizes of the hidden layers; None for sizes that follow from the number of samples.
    fields
        Receptive fields of each input, 1 for none; None for the one of several numbers that is best for the
        validation samples after a short training.
    finish
        Most second-order steps of a regression, 0 for none; None for as many as are useful for so many samples.
    validation_fraction
        Share of the samples for validation.
    steps
        Number of steps, all of which are done; None for as many as are good for the validation loss.
    time_limit
        Seconds after which to be done, about; not with ``steps``.
    weight_bits
        Train on with weights on the hardware's grid of this number of bits.
    random_state
        Seed of the initialisation, of the order of samples, and of those for validation.

    Attributes
    ----------
    network_
        The trained `qif2hw.Network`, in the units of the data.
    fields_
        Receptive fields of each input.
    n_iter_
        Number of first-order steps with free weights.
    history_
        Step, training loss and validation loss, (looks, 3).
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> "QIFRegressor":
        """Train on inputs ``X`` (samples, inputs) and targets ``y`` (samples,) or (samples, targets).

        Raises
        ------
        ValueError
            On inputs that scikit-learn's own estimators refuse too, and a single sample.
        InputError
            On parameters that are not possible.
        """
        x, targets = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        self._single = targets.ndim == 1
        columns = targets.reshape(len(x), -1).astype(np.float64)
        names = ("y",) if columns.shape[1] == 1 else tuple(f"y{k}" for k in range(columns.shape[1]))
        self._learn(x, columns, targets=names)
        return self

    def predict(self, X: ArrayLike) -> FloatArray:
        """The targets, in the shape of those in ``fit``, of inputs ``X`` (samples, inputs), in float64."""
        found = self._run(X).y
        return found[:, 0] if self._single else found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _has_probabilities(estimator: "QIFClassifier") -> bool:
    if estimator.first_spike:
        raise AttributeError("the class is that of the first spike: there are no probabilities")
    return True


class QIFClassifier(ClassifierMixin, _QIFEstimator):
    """A network of QIF neurons that learns classes from numbers.

    The results are logits; training minimises their cross entropy.  Or the class is that of the output neuron which
    spikes first, as of ``qif2hw train TABLE --classify LABEL --first-spike``.  All else is that of `QIFRegressor`.

    Parameters
    ----------
    hidden, fields, finish, validation_fraction, steps, time_limit, weight_bits, random_state
        As of `QIFRegressor`; second-order steps are for regressions.
    first_spike
        An output neuron for each class, the first of which to spike decides: there are no probabilities.

    Attributes
    ----------
    classes_
        The classes, in the order of the outputs.
    network_, fields_, n_iter_, history_
        As of `QIFRegressor`; the network's solution are the probabilities, or by the first spike the times of
        the output neurons' spikes, named by the classes.
    """

    def __init__(
        self,
        hidden: Sequence[int] | None = None,
        *,
        fields: int | None = None,
        finish: int | None = None,
        first_spike: bool = False,
        validation_fraction: float = 0.15,
        steps: int | None = None,
        time_limit: float | None = None,
        weight_bits: int | None = None,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            hidden,
            fields=fields,
            finish=finish,
            validation_fraction=validation_fraction,
            steps=steps,
            time_limit=time_limit,
            weight_bits=weight_bits,
            random_state=random_state,
        )
        self.first_spike = first_spike

    def fit(self, X: ArrayLike, y: ArrayLike) -> "QIFClassifier":
        """Train on inputs ``X`` (samples, inputs) and classes ``y`` (samples,); errors as of `QIFRegressor.fit`."""
        x, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"the labels have {len(self.classes_)} class: 2 or more are needed")
        names = tuple(map(str, self.classes_.tolist()))
        self._learn(x, numbers.astype(np.int64), first_spike=self.first_spike, classes=names)
        return self

    @available_if(_has_probabilities)
    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Probabilities (samples, classes) of inputs ``X`` (samples, inputs), in float64; not by the first spike."""
        return self._run(X).y

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable class, or that of the first spike, (samples,) of inputs ``X`` (samples, inputs)."""
        run = self._run(X)
        chosen: NDArray[Any] = self.classes_[run.label]
        return chosen
