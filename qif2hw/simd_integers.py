"""Integer SIMD vectors as numba types: sixteen lanes of int32 or int64, so that a formula is written once for both.

`IntVecType` has ``+``, ``-``, ``*``, ``>>`` (arithmetic), ``<<``, ``&``, ``|`` with vectors of its type and with
integers, which are cut to its elements; overflow wraps.  `MaskType`, a truth value per lane, has ``&``, ``|`` and
``~``.  LLVM splits a vector where the machine's are shorter.  Arrays are one-dimensional and contiguous.

``Any`` stands here for objects of numba's compiler and of LLVM, which have no types of their own.
"""

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

LANES = 16
"""Lanes of every vector."""


class IntVecType(types.Type):
    """Numba type of a vector of integers of 32 or 64 bits."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        super().__init__(name=f"IntVec(int{bits} x {LANES})")


class MaskType(types.Type):
    """Numba type of a truth value per lane."""

    def __init__(self) -> None:
        super().__init__(name=f"Mask({LANES})")


NARROW, WIDE, MASK = IntVecType(32), IntVecType(64), MaskType()


def _vector(bits: int) -> ir.VectorType:
    return ir.VectorType(ir.IntType(bits), LANES)


@register_model(IntVecType)
class _IntVecModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: IntVecType) -> None:
        super().__init__(manager, kind, _vector(kind.bits))


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: MaskType) -> None:
        super().__init__(manager, kind, _vector(1))


def _is_integer(kind: Any) -> bool:
    return isinstance(kind, types.Integer | types.IntegerLiteral)


def _spread(builder: Any, value: Any, bits: int) -> Any:
    """A number in every lane."""
    have, want = value.type.width, ir.IntType(bits)
    if have > bits:
        value = builder.trunc(value, want)
    elif have < bits:
        value = builder.sext(value, want)
    first = builder.insert_element(ir.Constant(_vector(bits), ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, first, ir.Constant(_vector(32), [0] * LANES))


def _lane_by_lane(kind: Any, builder: Any, value: Any, bits: int) -> Any:
    return _spread(builder, value, bits) if _is_integer(kind) else value


def _binary(name: str) -> Any:
    @intrinsic
    def instruction(typingctx: Any, left: Any, right: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, name)(args[0], _lane_by_lane(right, builder, args[1], left.bits))

        return left(left, right), codegen

    return instruction


def _masks(name: str) -> Any:
    @intrinsic
    def instruction(typingctx: Any, left: Any, right: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, name)(*args)

        return MASK(MASK, MASK), codegen

    return instruction


@intrinsic
def _not(typingctx: Any, mask: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.not_(args[0])

    return MASK(MASK), codegen


def _define(symbol: Any, name: str, on_masks: bool = False) -> None:
    vectors, masks = _binary(name), _masks(name)

    @overload(symbol, strict=False)
    def typed(left: Any, right: Any) -> Any:
        if isinstance(left, IntVecType) and (left == right or _is_integer(right)):
            return lambda left, right: vectors(left, right)
        if on_masks and isinstance(left, MaskType) and left == right:
            return lambda left, right: masks(left, right)
        return None


for _symbol, _name in ((operator.add, "add"), (operator.sub, "sub"), (operator.mul, "mul")):
    _define(_symbol, _name)
for _symbol, _name in ((operator.rshift, "ashr"), (operator.lshift, "shl")):
    _define(_symbol, _name)
for _symbol, _name in ((operator.and_, "and_"), (operator.or_, "or_")):
    _define(_symbol, _name, on_masks=True)


@overload(operator.invert, strict=False)
def _invert(mask: Any) -> Any:
    return (lambda mask: _not(mask)) if isinstance(mask, MaskType) else None


def _address(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = cgutils.create_struct_proxy(array_type)(context, builder, array).data
    at = builder.gep(data, [index])
    return builder.bitcast(at, _vector(array_type.dtype.bitwidth).as_pointer())


@intrinsic
def load(typingctx: Any, array: Any, index: Any) -> Any:
    """Vector of ``array[index : index + LANES]``, of the array's element type, int32 or int64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = builder.load(_address(context, builder, signature.args[0], *args))
        value.align = array.dtype.bitwidth // 8
        return value

    return IntVecType(array.dtype.bitwidth)(array, types.intp), codegen


@intrinsic
def store(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a vector to ``array[index : index + LANES]``, of the same element type."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _address(context, builder, signature.args[0], *args[:2])).align = value.bits // 8
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@intrinsic
def splat(typingctx: Any, like: Any, value: Any) -> Any:
    """Vector of the type of ``like`` with ``value`` in every lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _spread(builder, args[1], like.bits)

    return like(like, value), codegen


@intrinsic
def wide(typingctx: Any, value: Any) -> Any:
    """The same numbers in 64 bits."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return args[0] if value.bits == WIDE.bits else builder.sext(args[0], _vector(WIDE.bits))

    return WIDE(value), codegen


@intrinsic
def cut(typingctx: Any, like: Any, value: Any) -> Any:
    """The numbers of ``value``, which has 64 bits, in the type of ``like``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return args[1] if like.bits == WIDE.bits else builder.trunc(args[1], _vector(like.bits))

    return like(like, WIDE), codegen


def _comparison(symbol: str) -> Any:
    @intrinsic
    def compare(typingctx: Any, left: Any, right: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.icmp_signed(symbol, args[0], _lane_by_lane(right, builder, args[1], left.bits))

        return MASK(left, right), codegen

    return compare


less, at_least, equal = _comparison("<"), _comparison(">="), _comparison("==")
"""Masks of the lanes in which a vector is less than, at least, or equal to another one or a number."""


@intrinsic
def where(typingctx: Any, mask: Any, left: Any, right: Any) -> Any:
    """``left`` in the lanes of the mask, ``right`` in the others."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(*args)

    return left(MASK, left, left), codegen


def _extreme(symbol: str) -> Any:
    @intrinsic
    def extreme(typingctx: Any, left: Any, right: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            other = _lane_by_lane(right, builder, args[1], left.bits)
            return builder.select(builder.icmp_signed(symbol, args[0], other), args[0], other)

        return left(left, right), codegen

    return extreme


smaller, larger = _extreme("<"), _extreme(">")
"""The smaller, and the larger, of a vector and another one or a number, lane by lane."""


@intrinsic
def negative(typingctx: Any, value: Any) -> Any:
    """``-value``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.neg(args[0])

    return value(value), codegen


@intrinsic
def bit_lengths(typingctx: Any, value: Any) -> Any:
    """Position of the highest set bit plus one, lane by lane: 0 for 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = _vector(value.bits)
        ctlz = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(kind, [kind, ir.IntType(1)]),
            f"llvm.ctlz.v{LANES}i{value.bits}",
        )
        zeros = builder.call(ctlz, [args[0], ir.Constant(ir.IntType(1), 0)])
        return builder.sub(ir.Constant(kind, [value.bits] * LANES), zeros)

    return value(value), codegen


@intrinsic
def bits_of(typingctx: Any, mask: Any) -> Any:
    """Integer whose bit ``k`` is set where lane ``k`` of the mask is."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.zext(builder.bitcast(args[0], ir.IntType(LANES)), ir.IntType(64))

    return types.uint64(MASK), codegen


@intrinsic
def gather(typingctx: Any, table: Any, index: Any) -> Any:
    """``table[index]``, lane by lane; ``table`` is of int64, every index within it."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = cgutils.create_struct_proxy(signature.args[0])(context, builder, args[0]).data
        found = ir.Constant(_vector(WIDE.bits), ir.Undefined)
        for k in range(LANES):
            lane = ir.Constant(ir.IntType(32), k)
            at = builder.extract_element(args[1], lane)
            if index.bits < WIDE.bits:
                at = builder.zext(at, ir.IntType(WIDE.bits))
            found = builder.insert_element(found, builder.load(builder.gep(data, [at])), lane)
        return found

    return WIDE(table, index), codegen
