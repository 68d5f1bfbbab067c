"""Kernels: the part of the IFM that they cover, and the sub-kernels that they are split into."""

from __future__ import annotations

__all__ = [
    "KERNEL_AREA_MAX",
    "SUB_KERNEL",
    "sub_kernel_count",
    "sub_kernel_sizes",
    "sub_kernel_step",
    "window_extent",
]

#: Rows and columns of a sub-kernel, including dilation: a larger kernel is split (Vela:
#: `SubKernelMax` of `architecture_features.py`).
SUB_KERNEL = 8
#: Elements of the largest kernel that Vela gives to the NPU: a pool over 256 x 256.
KERNEL_AREA_MAX = 1 << 16


def window_extent(outputs: int, stride: int, size: int, dilation: int) -> int:
    """Elements of the IFM that `outputs` neighbours of the OFM depend on along one axis.

    Padding is included, and an upscaled IFM counts at its upscaled size. `size` is that of the
    undilated kernel. The windows begin `stride` apart, and the last covers the dilated kernel.
    """
    return (outputs - 1) * stride + (size - 1) * dilation + 1


def sub_kernel_step(dilation: int) -> int:
    """Undilated kernel elements of a sub-kernel along one axis."""
    return SUB_KERNEL // dilation


def sub_kernel_count(size: int, dilation: int) -> int:
    """How many sub-kernels a kernel of `size` undilated elements has along one axis."""
    return -(-size // sub_kernel_step(dilation))


def sub_kernel_sizes(size: int, dilation: int) -> tuple[int, ...]:
    """Undilated elements of each sub-kernel, in order; only the last may be smaller."""
    step = sub_kernel_step(dilation)
    return tuple(min(step, size - start) for start in range(0, size, step))
