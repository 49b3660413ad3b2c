"""Estimators of scikit-learn."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from sklearn.datasets import make_friedman1, make_moons
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from qif2hw.errors import InputError
from qif2hw.sklearn import QIFClassifier, QIFRegressor
from qif2hw.train.tables import choice

EXPECTED: dict[str, str] = {}
"""Checks of scikit-learn that fail, with the reason: at most five."""


def test_a_regressor_learns_and_compiles() -> None:
    x, y = make_friedman1(150, n_features=5, random_state=0)
    model = QIFRegressor((12,), fields=1, steps=250, random_state=0).fit(x, y)
    assert model.score(x, y) > 0.6
    assert model.n_iter_ == 250
    bundle = model.compile(weight_bits=8)
    on_engine = bundle.run(x).y[:, 0]
    assert np.abs(on_engine - model.predict(x)).max() < 0.1 * np.ptp(y)
    again = QIFRegressor((12,), fields=1, steps=250, random_state=0).fit(x, y)
    assert again.network_ == model.network_
    assert model.predict(x[:3] + 100.0).shape == (3,), "out of range: moved to the ends"
    two = QIFRegressor((4,), fields=1, steps=10, random_state=0).fit(x, np.column_stack([y, -y]))
    assert two.predict(x).shape == (150, 2)


def test_a_classifier_learns() -> None:
    x, label = make_moons(120, noise=0.1, random_state=0)
    names = np.array(["left", "right"])[label]
    model = QIFClassifier((12,), fields=8, steps=250, random_state=0).fit(x, names)
    assert model.score(x, names) > 0.9
    probabilities = model.predict_proba(x)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-12)
    assert [o.name for o in model.network_.host.outputs] == ["left", "right"]
    assert (model.classes_[probabilities.argmax(axis=1)] == model.predict(x)).all()


def test_a_classifier_by_the_first_spike() -> None:
    x, label = make_moons(120, noise=0.1, random_state=0)
    names = np.array(["left", "right"])[label]
    model = QIFClassifier((12,), fields=8, first_spike=True, steps=250, random_state=0).fit(x, names)
    assert model.score(x, names) > 0.9
    assert model.network_.first_spike is not None
    run = model.compile(weight_bits=8).run(x)
    assert (model.classes_[run.label] == model.predict(x)).mean() > 0.95
    assert not hasattr(model, "predict_proba")
    with pytest.raises(AttributeError):
        model.predict_proba(x)


def test_in_pipelines_and_searches() -> None:
    x, y = make_friedman1(60, n_features=5, random_state=0)
    pipe = make_pipeline(StandardScaler(), QIFRegressor((4,), steps=10, random_state=0))
    assert cross_val_score(pipe, x, y, cv=2).shape == (2,)
    search = GridSearchCV(pipe, {"qifregressor__hidden": [(3,), (4,)]}, cv=2).fit(x, y)
    assert search.best_params_["qifregressor__hidden"] in [(3,), (4,)]
    assert QIFRegressor(fields=4).get_params()["fields"] == 4


def test_the_finish_and_the_fields_that_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "STEPS", 60)
    x, y = make_friedman1(150, n_features=5, random_state=0)
    alone = QIFRegressor((8,), steps=100, fields=4, finish=0, random_state=0).fit(x, y)
    finished = QIFRegressor((8,), steps=100, fields=4, finish=20, random_state=0).fit(x, y)
    assert alone.fields_ == 4
    assert alone.n_iter_ == finished.n_iter_ == 100
    assert finished.history_[:, 2].min() < alone.history_[:, 2].min()
    compared = QIFRegressor((8,), steps=10, random_state=0).fit(x, y)
    assert compared.fields_ in (1, 4, 8, 16)
    assert compared.network_.inputs == 5 * compared.fields_


def test_what_is_refused() -> None:
    x, y = make_friedman1(30, n_features=5, random_state=0)
    with pytest.raises(NotFittedError):
        QIFRegressor().compile()
    with pytest.raises(ValueError, match="n_samples = 1"):
        QIFRegressor().fit(x[:1], y[:1])
    with pytest.raises(ValueError, match="1 class: 2 or more"):
        QIFClassifier().fit(x, np.zeros(30))
    with pytest.raises(InputError, match="time limit"):
        QIFRegressor(steps=3, time_limit=1.0).fit(x, y)
    with pytest.raises(InputError, match="receptive fields"):
        QIFRegressor(fields=0).fit(x, y)


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "options"),
    [(QIFRegressor, {}), (QIFClassifier, {}), (QIFClassifier, {"first_spike": True})],
    ids=["regressor", "classifier", "first spike"],
)
def test_the_checks_of_scikit_learn(kind: Any, options: dict[str, Any]) -> None:
    assert len(EXPECTED) <= 5
    failed = {}
    for estimator, check in estimator_checks_generator(kind((16,), steps=150, random_state=0, **options)):
        try:
            check(estimator)
        except pytest.skip.Exception:
            raise
        except Exception as error:
            if type(error).__name__ == "SkipTest":
                continue
            failed[check.func.__name__ if hasattr(check, "func") else str(check)] = f"{type(error).__name__}: {error}"
    assert failed.keys() == EXPECTED.keys(), failed
