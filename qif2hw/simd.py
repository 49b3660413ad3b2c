"""SIMD vectors as a numba type: a formula written for numbers compiles to one instruction per 64 bytes.

`VecType` is one 512-bit vector: 8 float64 or 16 float32 lanes (LLVM splits it where the machine is
narrower).  It has ``+``, ``-`` and ``*``, which may fuse into multiply-adds, and the functions below.
Arrays are one-dimensional and contiguous.

``Any`` stands here for objects of numba's compiler and of LLVM, which have no types of their own.
"""

import operator
from typing import Any, TypeAlias

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model
from numba.np import arrayobj
from numpy.typing import DTypeLike, NDArray

from qif2hw.machinecode import compiled

Reals: TypeAlias = NDArray[np.floating[Any]]
"""An array with the element type of a layer, float64 or float32."""

Ints: TypeAlias = NDArray[np.int32]

LANES = {"float64": 8, "float32": 16}
"""Number of lanes by name of the element type."""


def lanes_of(dtype: DTypeLike) -> int:
    """Lanes of a vector of elements of this numpy type."""
    return LANES[np.dtype(dtype).name]


def padded(size: int, dtype: DTypeLike) -> int:
    """``size`` rounded up to whole vectors."""
    lanes = lanes_of(dtype)
    return -(-size // lanes) * lanes


class VecType(types.Type):
    """Numba type of a vector with elements of the numba type ``dtype``.

    With ``times``: of so many, one behind the other, whose operations do not fuse by themselves.  Which ones fuse is
    else the compiler's choice, and not the same one in all of its runs; `multiply_add` says it.
    """

    def __init__(self, dtype: Any, times: int = 0) -> None:
        self.dtype = dtype
        self.lanes = LANES[str(dtype)] * max(times, 1)
        self.flags = () if times else ("contract",)
        super().__init__(name=f"Vec({dtype} x {self.lanes}{', as written' if times else ''})")


def _vector(vec: VecType) -> ir.VectorType:
    return ir.VectorType(ir.FloatType() if str(vec.dtype) == "float32" else ir.DoubleType(), vec.lanes)


@register_model(VecType)
class _VecModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vec: VecType) -> None:
        super().__init__(manager, vec, _vector(vec))


def _address(context: Any, builder: Any, vec: VecType, array_type: Any, array: Any, index: Any) -> Any:
    data = cgutils.create_struct_proxy(array_type)(context, builder, array).data
    at = builder.gep(data, [index])
    return builder.bitcast(at, _vector(vec).as_pointer())


def _aligned_to(array_type: Any) -> int:
    return 8 if LANES[str(array_type.dtype)] == 8 else 4


@intrinsic
def load(typingctx: Any, array: Any, index: Any) -> Any:
    """Vector of ``array[index : index + lanes]``; ``array`` is one-dimensional and contiguous."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = builder.load(_address(context, builder, signature.return_type, signature.args[0], *args))
        value.align = _aligned_to(signature.args[0])
        return value

    return VecType(array.dtype)(array, types.intp), codegen


@intrinsic
def load_like(typingctx: Any, like: Any, array: Any, index: Any) -> Any:
    """Vector of ``array[index : index + lanes]`` with as many lanes as the vector ``like``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = builder.load(_address(context, builder, like, signature.args[1], *args[1:]))
        value.align = _aligned_to(signature.args[1])
        return value

    return like(like, array, types.intp), codegen


@intrinsic
def store(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a vector to ``array[index : index + lanes]``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at = _address(context, builder, signature.args[2], signature.args[0], *args[:2])
        builder.store(args[2], at).align = _aligned_to(signature.args[0])
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@intrinsic
def width(typingctx: Any, array: Any) -> Any:
    """Lanes of a vector of elements of ``array``, a constant of the compiled code."""
    lanes = VecType(array.dtype).lanes

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(ir.IntType(64), lanes)

    return types.intp(array), codegen


@compiled
def aligned(size: int, like: Reals) -> Reals:
    """New array of ``size`` elements of the type of ``like``; its vectors do not straddle cache lines."""
    lanes = width(like)
    room = np.empty(size + lanes, like.dtype)
    shift = -(room.ctypes.data // like.itemsize) % lanes
    return room[shift : shift + size]


def _matrix(context: Any, builder: Any, kind: Any, data: Any, rows: Any, columns: Any) -> Any:
    itemsize = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    made = context.make_array(kind)(context, builder)
    strides = [builder.mul(columns, itemsize), itemsize]
    arrayobj.populate_array(made, data, [rows, columns], strides, itemsize, meminfo=None)
    return made._getvalue()


@intrinsic
def view(typingctx: Any, flat: Any, at: Any, rows: Any, columns: Any) -> Any:
    """``flat[at:]`` as an array (rows, columns) that keeps nothing alive: numpy's own costs more than a small layer."""
    kind = types.Array(flat.dtype, 2, "C")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = builder.gep(cgutils.create_struct_proxy(flat)(context, builder, args[0]).data, [args[1]])
        return _matrix(context, builder, kind, data, args[2], args[3])

    return kind(flat, types.intp, types.intp, types.intp), codegen


@intrinsic
def view_at(typingctx: Any, like: Any, address: Any, rows: Any, columns: Any) -> Any:
    """Memory from ``address`` on as an array (rows, columns) with the element type of ``like``."""
    kind = types.Array(like.dtype, 2, "C")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = builder.inttoptr(args[1], context.get_data_type(like.dtype).as_pointer())
        return _matrix(context, builder, kind, data, args[2], args[3])

    return kind(like, types.intp, types.intp, types.intp), codegen


@intrinsic
def splat(typingctx: Any, like: Any, value: Any) -> Any:
    """Vector with ``value`` in every lane and the element type of the array ``like``."""
    vec = VecType(like.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _spread(builder, vec, args[1])

    return vec(like, vec.dtype), codegen


@intrinsic
def splat_like(typingctx: Any, like: Any, value: Any) -> Any:
    """Vector with ``value`` in every lane, like the vector ``like``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _spread(builder, like, args[1])

    return like(like, like.dtype), codegen


def _spread(builder: Any, vec: VecType, value: Any) -> Any:
    zero = ir.Constant(ir.IntType(32), 0)
    first = builder.insert_element(ir.Constant(_vector(vec), ir.Undefined), value, zero)
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), vec.lanes), [0] * vec.lanes)
    return builder.shuffle_vector(first, first, lanes)


def _zeros(times: int) -> Any:
    """Zeros in ``times`` vectors with the element type of an array."""

    @intrinsic
    def zeros(typingctx: Any, like: Any) -> Any:
        vec = VecType(like.dtype, times)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return ir.Constant(_vector(vec), None)

        return vec(like), codegen

    return zeros


one_vector, two_vectors, four_vectors = _zeros(1), _zeros(2), _zeros(4)
"""Zeros in one, two and four vectors: formulas on several are as many instructions that do not wait for each other."""


@intrinsic
def lanes_in(typingctx: Any, vector: Any) -> Any:
    """Lanes of a vector, or of several together, a constant of the compiled code."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(ir.IntType(64), vector.lanes)

    return types.intp(vector), codegen


def _bits(context: Any, builder: Any, vec: VecType, flags: Any) -> Any:
    return builder.zext(builder.bitcast(flags, ir.IntType(vec.lanes)), ir.IntType(64))


@intrinsic
def below_zero(typingctx: Any, value: Any) -> Any:
    """Integer whose bit ``k`` is set where lane ``k`` is negative (``-0.0`` is not)."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        flags = builder.fcmp_ordered("<", args[0], ir.Constant(_vector(value), None))
        return _bits(context, builder, value, flags)

    return types.uint64(value), codegen


@intrinsic
def mirrored(typingctx: Any, value: Any, by: Any) -> Any:
    """``value``, negated in the lanes where ``by`` is negative."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        flags = builder.fcmp_ordered("<", args[1], ir.Constant(_vector(value), None))
        return builder.select(flags, builder.fneg(args[0]), args[0])

    return value(value, by), codegen


@intrinsic
def ones_where_less(typingctx: Any, left: Any, right: Any) -> Any:
    """1 in the lanes where the first vector is less than the second, 0 in the others."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = _vector(left)
        ones = ir.Constant(kind, [ir.Constant(kind.element, 1.0)] * left.lanes)
        return builder.select(builder.fcmp_ordered("<", *args), ones, ir.Constant(kind, None))

    return left(left, right), codegen


@intrinsic
def where_less(typingctx: Any, left: Any, right: Any, then: Any, otherwise: Any) -> Any:
    """``then`` in the lanes where ``left`` is less than ``right``, ``otherwise`` in the others."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", *args[:2]), *args[2:])

    return left(left, right, then, otherwise), codegen


@intrinsic
def multiply_add(typingctx: Any, left: Any, right: Any, more: Any) -> Any:
    """``left * right + more``, rounded once."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _fused(builder, left, *args)

    return left(left, right, more), codegen


def _fused(builder: Any, vec: VecType, left: Any, right: Any, more: Any) -> Any:
    kind = _vector(vec)
    name = f"llvm.fma.v{vec.lanes}f{32 if str(vec.dtype) == 'float32' else 64}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
    return builder.call(function, [left, right, more])


@intrinsic
def add_products(typingctx: Any, sums: Any, left: Any, right: Any) -> Any:
    """One vector ``sums``, and the products of several with several, added one after the other, rounded once each."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        found, lanes = args[0], sums.lanes
        for first in range(0, left.lanes, lanes):
            chosen = ir.Constant(ir.VectorType(ir.IntType(32), lanes), list(range(first, first + lanes)))
            a, b = (builder.shuffle_vector(v, v, chosen) for v in args[1:])
            found = _fused(builder, sums, a, b, found)
        return found

    return sums(sums, left, right), codegen


@intrinsic
def count_bits(typingctx: Any, bits: Any) -> Any:
    """Number of set bits of a uint64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.intp(types.uint64), codegen


@intrinsic
def lowest_bit(typingctx: Any, bits: Any) -> Any:
    """Index of the lowest set bit of a non-zero uint64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.intp(types.uint64), codegen


@intrinsic
def bit_length(typingctx: Any, value: Any) -> Any:
    """Position of the highest set bit of an int64 plus one, 0 for 0; 64 for negative ones."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zeros = builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))
        return builder.sub(ir.Constant(ir.IntType(64), 64), zeros)

    return types.int64(types.int64), codegen


def _tree(join: Any) -> Any:
    """A number made of the lanes of a vector, pair by pair in a fixed order."""

    @intrinsic
    def reduction(typingctx: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            vector = args[0]
            width = value.lanes
            while width > 1:
                width //= 2
                kind = ir.VectorType(ir.IntType(32), width)
                low = builder.shuffle_vector(vector, vector, ir.Constant(kind, list(range(width))))
                high = builder.shuffle_vector(vector, vector, ir.Constant(kind, list(range(width, 2 * width))))
                vector = join(builder, low, high)
            return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))

        return value.dtype(value), codegen

    return reduction


def _larger(builder: Any, left: Any, right: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", left, right), left, right)


total, greatest = _tree(lambda builder, left, right: builder.fadd(left, right)), _tree(_larger)
"""Sum of the lanes, and the greatest of them."""


@intrinsic
def maximum(typingctx: Any, left: Any, right: Any) -> Any:
    """The greater of two vectors, lane by lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _larger(builder, *args)

    return left(left, right), codegen


def _binary(name: str) -> Any:
    @intrinsic
    def instruction(typingctx: Any, left: Any, right: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, name)(args[0], args[1], flags=left.flags)

        return left(left, right), codegen

    return instruction


_fadd, _fsub, _fmul = _binary("fadd"), _binary("fsub"), _binary("fmul")


def _both_vectors(left: Any, right: Any) -> bool:
    return isinstance(left, VecType) and left == right


@overload(operator.add, strict=False)
def _add(left: Any, right: Any) -> Any:
    return (lambda left, right: _fadd(left, right)) if _both_vectors(left, right) else None


@overload(operator.sub, strict=False)
def _sub(left: Any, right: Any) -> Any:
    return (lambda left, right: _fsub(left, right)) if _both_vectors(left, right) else None


@overload(operator.mul, strict=False)
def _mul(left: Any, right: Any) -> Any:
    return (lambda left, right: _fmul(left, right)) if _both_vectors(left, right) else None
