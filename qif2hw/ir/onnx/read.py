"""Reading the ONNX files of `qif2hw.ir.onnx_io`, which describes the format."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import onnx
from onnx import ModelProto, NodeProto

from qif2hw.errors import InputError
from qif2hw.files import Region
from qif2hw.ir.encoder import Encoder
from qif2hw.ir.host_part.formula import OPERATORS
from qif2hw.ir.host_part.host import Host
from qif2hw.ir.host_part.onnx_host import RESULTS, HostReader, check_operators, has_host
from qif2hw.ir.network import Network, Population, Projection
from qif2hw.ir.onnx.execute_stepped import STEPPED_FORM
from qif2hw.ir.onnx.execute_trial import TRIAL_FORM
from qif2hw.ir.onnx.graph import GraphReader, array_of, insert, real_of, values_of, where
from qif2hw.ir.onnx.parse import is_executable, parse
from qif2hw.ir.onnx.stepped import SteppedReader
from qif2hw.ir.readout import AnyOutput, FirstSpike, Product, Readout, readouts_of
from qif2hw.ir.stepped import AnyNetwork
from qif2hw.neuron import QIF


def any_from_bytes(data: bytes, source: str = "model.onnx") -> AnyNetwork:
    """A network of either clock from the bytes of an ONNX file; ``source`` names it in an `InputError`."""
    return read_any(Region.of(data), source)


def read_any(file: Region, source: str = "model.onnx", folder: Path | None = None) -> AnyNetwork:
    """As `any_from_bytes`, from an open file; arrays may lie in other files of ``folder``, or below it."""
    try:
        model, large = parse(file, folder)
        executes = is_executable(model)
        stepped = any(node.op_type in ("Frames", "FramesOnGrid") for node in model.graph.node)
        form, called = STEPPED_FORM if stepped else TRIAL_FORM, list(model.graph.node)
        if executes:
            made = form.plain(called)
            del model.graph.node[:]
            model.graph.node.extend(made)
        reader: SteppedReader | _Reader
        if stepped:
            reader = SteppedReader(model, 2 if executes else 1, large)
        else:
            reader = (_HostedReader if has_host(model) else _Reader)(model, large)
        network: AnyNetwork = reader.network()
        if executes:
            form.check(called, model.functions, reader, network)
        return network
    except InputError as error:
        # Names come from the file and may hold line breaks; an error is one line.
        raise InputError(f"{source}: {' '.join(str(error).split())}") from None


def from_bytes(data: bytes, source: str = "model.onnx") -> Network:
    """An event-driven network from the bytes of an ONNX file; ``source`` names it in an `InputError`."""
    return event_driven(any_from_bytes(data, source), source)


def event_driven(network: AnyNetwork, source: str) -> Network:
    """The network; `InputError` if it has a stepped clock."""
    if not isinstance(network, Network):
        raise InputError(f"{source}: a network with a stepped clock, where an event-driven one is needed")
    return network


class _Reader(GraphReader):
    """Rebuilds a network."""

    def network(self) -> Network:
        """The network; `InputError` says what is wrong with the file."""
        encoders, host = self._encoders()
        populations: dict[int, Population] = {}
        projections: dict[int, Projection] = {}
        trials = set()
        for node in self.nodes("QIF"):
            values = values_of(node)
            trials.add(real_of(node, values["trial"]))
            neuron = QIF(real_of(node, values["tau"]), real_of(node, values["i0"]))
            if not node.input:
                raise InputError(f"{where(node)}: its first input, the initial phases, is missing")
            phi0 = self.tensor(node, node.input[0])
            insert(populations, node, values["index"], Population(node.name, neuron, phi0))
            self.projections_onto(node, projections)
        self.check_projections(projections)
        if len(trials) != 1:
            raise InputError(f"its populations give {len(trials)} different trial lengths, one is needed")
        return Network(
            trial=trials.pop(),
            encoders=encoders,
            populations=tuple(populations[k] for k in sorted(populations)),
            projections=tuple(projections[k] for k in sorted(projections)),
            outputs=self._outputs(),
            host=host,
        )

    def _encoders(self) -> tuple[tuple[Encoder, ...], Host | None]:
        """Input groups, and the host's part."""
        encoders = tuple(self._encoder(value) for value in self.graph.input if value.name not in self.tensors)
        if len(self.nodes("Encode")) != len(encoders):
            raise InputError("every Encode node needs an input of the graph of its own")
        return encoders, None

    def _encoder(self, value: onnx.ValueInfoProto) -> Encoder:
        nodes = [node for node in self.nodes("Encode") if list(node.input) == [value.name]]
        shape = value.type.tensor_type.shape.dim
        if len(nodes) != 1 or len(shape) != 2 or shape[1].dim_value < 1:
            raise InputError(f"input '{value.name}' needs one Encode node and a shape (samples, channels)")
        return _encoder_of(nodes[0], int(shape[1].dim_value))

    def _results(self) -> str | None:
        """Name of the value of the network's results; None for the graph's output."""
        return None

    def _outputs(self) -> tuple[AnyOutput, ...]:
        outputs: list[AnyOutput] = []
        for node in self.output_nodes(("FirstSpikeDifference", "Product", "FirstSpike"), self._results()):
            if node.op_type == "FirstSpike":
                neuron = array_of(node, "neuron", values_of(node)["neuron"])
                outputs.append(FirstSpike(self._read_from(node), neuron))
                continue
            if node.op_type == "FirstSpikeDifference":
                outputs.append(self._readout(node))
                continue
            values = values_of(node)
            pair = [self._readout(self.made_by(node, k, "FirstSpikeDifference")) for k in node.input]
            if len(pair) != 2:
                raise InputError(f"{where(node)}: it has {len(pair)} inputs, 2 are needed")
            outputs.append(Product(pair[0], pair[1], real_of(node, values["scale"]), real_of(node, values["offset"])))
        used = sum(isinstance(readout, Readout) for readout in readouts_of(tuple(outputs)))
        if used != len(self.nodes("FirstSpikeDifference")):
            raise InputError("a FirstSpikeDifference node does not reach the output")
        if len(self.nodes("FirstSpike")) != sum(isinstance(output, FirstSpike) for output in outputs):
            raise InputError("a FirstSpike node does not reach the output")
        return tuple(outputs)

    def _readout(self, node: NodeProto) -> Readout:
        values = values_of(node)
        arrays = {key: array_of(node, key, values[key]) for key in ("start", "stop", "scale", "offset")}
        return Readout(self._read_from(node), **arrays)

    def _read_from(self, node: NodeProto) -> str:
        """The population that a readout reads."""
        if len(node.input) != 1:
            raise InputError(f"{where(node)}: it has {len(node.input)} inputs, 1 is needed")
        return self.made_by(node, node.input[0], "QIF").name


class _HostedReader(_Reader):
    """Rebuilds a network with a part for the host around it."""

    STANDARD: ClassVar[tuple[str, ...]] = OPERATORS

    def __init__(self, model: ModelProto, large: Mapping[str, Region]) -> None:
        check_operators(model)
        super().__init__(model, large)
        self.part = HostReader(self, model)

    def _encoders(self) -> tuple[tuple[Encoder, ...], Host | None]:
        host, encoders = self.part.host(), self.part.encoders(_encoder_of)
        self.part.check_encoding(host, encoders)
        return encoders, host

    def _results(self) -> str | None:
        return RESULTS if RESULTS in self.maker else None


def _encoder_of(node: NodeProto, size: int) -> Encoder:
    values = values_of(node)
    earliest, latest = (real_of(node, values[key]) for key in ("earliest", "latest"))
    return Encoder(node.name, size, earliest, latest)
