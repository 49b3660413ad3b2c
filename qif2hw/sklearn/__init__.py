"""Networks of QIF neurons as estimators of scikit-learn (the extra ``sklearn``)."""

from qif2hw.sklearn.estimators import QIFClassifier, QIFRegressor

__all__ = ["QIFClassifier", "QIFRegressor"]
