"""NeuroBench's metrics against NeuroBench itself."""

from typing import Any

import numpy as np
import pytest
from estimate.recount import full_matrix
from estimate.test_counts import bundle_of, cores_of

from qif2hw import api, engine, estimate, zoo
from qif2hw.estimate.neurobench import connection_sparsity


@pytest.mark.parametrize("name", ["chain", "images", "listed"])
def test_sparsities_and_footprint(name: str) -> None:
    bundle, x = bundle_of(name)
    cores = cores_of(bundle.program, 10)
    run = bundle.run(x)
    counts = estimate.count(bundle.program, run, bundle.network.check_inputs(x), cores)
    found = estimate.metrics(bundle.program, counts)
    assert found.footprint == sum(core.bytes for core in cores) > 0
    spikes = run.step_spikes if name != "images" else run.spikes
    neurons = sum(bundle.program.sizes[p] for p in spikes)
    total = sum(len(s) if name != "images" else int(s.sum()) for s in spikes.values())
    assert found.activation_sparsity == pytest.approx(1 - total / (neurons * counts.steps * len(x)))
    if name != "images":
        # A kernel is counted once; all else is a full matrix.
        full = np.concatenate([full_matrix(p)[0].ravel() for p in bundle.program.projections])
        assert found.connection_sparsity == pytest.approx(np.mean(full == 0))
        assert name != "listed" or found.connection_sparsity > 0


@pytest.mark.filterwarnings("ignore")
def test_as_neurobench_counts() -> None:
    torch = pytest.importorskip("torch")
    static = pytest.importorskip("neurobench.metrics.static")
    workload = pytest.importorskip("neurobench.metrics.workload")
    models = pytest.importorskip("neurobench.models")
    bundle = zoo.bundle("parabola")
    program, x = bundle.program, bundle.golden.x
    run, (step, late) = bundle.run(x), engine.encode(bundle.program, bundle.golden.x)

    class Fires(torch.nn.Module):  # type: ignore[misc, name-defined]
        """Stands for a population, whose spikes are those of the run."""

        def forward(self, given: Any) -> Any:
            return given

    class Adapter(models.NeuroBenchModel):  # type: ignore[misc, name-defined]
        def __init__(self, chosen: str) -> None:
            super().__init__()
            layers = []
            for p in program.projections:
                linear = torch.nn.Linear(*p.weight.shape[::-1], bias=False).double()
                linear.weight.data = torch.from_numpy(p.weight.astype(float))
                layers += [linear, Fires()]
            self.net, self.chosen = torch.nn.Sequential(*layers), chosen
            self.add_activation_module(Fires)

        def __net__(self) -> Any:
            return self.net

        def __call__(self, batch: Any) -> Any:
            for k, p in enumerate(program.projections):
                given = raster(p.pre)
                self.net[2 * k](given[self.chosen])
                self.net[2 * k + 1](raster(p.post)["flags"])
            return torch.zeros(len(batch))

    def raster(source: str) -> dict[str, Any]:
        """Flags and latenesses, (samples times steps, neurons)."""
        flags = np.zeros((len(x), program.steps + 1, program.sizes[source]))
        payload = np.zeros_like(flags)
        if source in program.columns:
            sample, neuron = np.indices(step.shape)
            flags[sample, step, neuron], payload[sample, step, neuron] = 1, late
        else:
            spikes = run.step_spikes[source]
            flags[spikes.sample, spikes.step, spikes.neuron] = 1
            payload[spikes.sample, spikes.step, spikes.neuron] = spikes.lateness
        return {
            "flags": torch.from_numpy(flags[:, 1:].reshape(-1, flags.shape[2])),
            "payload": torch.from_numpy(payload[:, 1:].reshape(-1, flags.shape[2])),
        }

    def measured(chosen: str) -> tuple[Any, dict[str, float], float]:
        model = Adapter(chosen)
        manager = pytest.importorskip("neurobench.metrics.manager.workload_manager").WorkloadMetricManager(
            [workload.SynapticOperations, workload.ActivationSparsity]
        )
        manager.register_hooks(model)
        manager.initialize_metrics()
        data = (torch.from_numpy(x), torch.zeros(len(x)))
        found = manager.run_metrics(model, model(data[0]), data, len(x), len(x))
        operations = manager.metrics["SynapticOperations"].compute()
        manager.cleanup_hooks(model)
        return static.ConnectionSparsity()(model), operations, found["ActivationSparsity"]

    ours = api.estimate(bundle).metrics
    sparsity, flags, activation = measured("flags")
    assert sparsity == pytest.approx(ours.connection_sparsity, abs=1e-4) == round(connection_sparsity(program), 4)
    assert flags["Effective_ACs"] == ours.effective_acs
    assert activation == pytest.approx(ours.activation_sparsity, abs=1e-12)
    _, payload, _ = measured("payload")
    # The flush is no part of the raster: every hidden neuron sends a number over all its synapses.
    flush = sum(np.count_nonzero(p.weight) for p in program.projections if p.pre not in program.columns)
    assert payload["Effective_MACs"] + flush == pytest.approx(ours.effective_macs)
    assert payload["Effective_ACs"] == 0
