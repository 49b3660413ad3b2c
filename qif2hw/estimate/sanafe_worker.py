"""The process in which SANA-FE runs: reads ``job.json`` in a folder, writes ``result.json``.

Run as a script, so that nothing of qif2hw is loaded beside it: sanafe has a licence of its own (GPL-3).
"""

import importlib.metadata
import json
import re
import sys
from pathlib import Path
from typing import Any

CORES_PER_TILE = 4
SOMA = "loihi_inputs"
"""Its neuron that sends what it is told."""


def architecture(text: str) -> str:
    """SANA-FE's Loihi 1, whose replaying neurons cost what its integrating ones do.

    Of those, the access is charged in every step, the update and the spike when a neuron fires.
    """
    costs = {}
    for cost in ("access_neuron", "update_neuron", "spike_out"):
        for kind in ("energy", "latency"):
            name = f"{kind}_{cost}"
            costs[name] = re.search(rf"name: loihi_lif\n(?:.*\n)*?\s+{name}: (\S+)", text)
    head, mark, tail = text.partition(f"name: {SOMA}[")
    for name, found in costs.items():
        if found is None or not mark:
            raise ValueError(f"its Loihi 1 has no {name} of loihi_lif, or no {SOMA}")
        tail = re.sub(rf"{name}: \S+", f"{name}: {found[1]}", tail, count=1)
    return head + mark + tail


def main(folder: Path) -> None:
    """Build the network, replay, and write what came out."""
    import sanafe

    job: dict[str, Any] = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    shipped = Path(sanafe.__file__).parent / "examples" / "loihi.yaml"
    (folder / "loihi.yaml").write_text(architecture(shipped.read_text(encoding="utf-8")), encoding="utf-8")
    arch = sanafe.load_arch(str(folder / "loihi.yaml"))
    network, steps = sanafe.Network(), job["steps"]
    groups = {name: network.create_neuron_group(name, len(sent)) for name, sent in job["sent"].items()}
    for k, core in enumerate(job["cores"]):
        place = arch.tiles[k // CORES_PER_TILE].cores[k % CORES_PER_TILE]
        for slot, neuron in enumerate(range(core["first"], core["stop"])):
            fires = set(job["sent"][core["group"]][neuron])
            one = groups[core["group"]][neuron]
            spikes = [int(step in fires) for step in range(steps)]
            one.set_attributes(soma_hw_name=f"{SOMA}[{slot}]", model_attributes={"spikes": spikes})
            one.map_to_core(place)
    for synapses in job["synapses"]:
        pre, post = groups[synapses["pre"]], groups[synapses["post"]]
        for to, source in zip(*synapses["edges"], strict=True):
            pre[source].connect_to_neuron(post[to], {"weight": 0.0})
    chip = sanafe.SpikingChip(arch)
    chip.load(network)
    found = chip.sim(steps, timing_model="detailed")
    result = {
        "version": f"SANA-FE {importlib.metadata.version('sanafe')}",
        "energy_j": found["energy"]["total"],
        "latency_s": found["sim_time"],
        "steps": found["timesteps_executed"],
        "spikes": found["spikes"],
        "packets": found["packets_sent"],
    }
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    # The folder of this file holds modules of qif2hw.
    del sys.path[0]
    main(Path(sys.argv[1]))
