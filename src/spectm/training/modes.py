"""What this machine can do besides eager float32, and what it does instead where it can't."""

import warnings

import torch

__all__ = ["bfloat16_fallback", "compiler_fallback"]


def compiler_fallback() -> str | None:
    """Why a model can't be compiled here, or None where a small function compiles.

    `torch.compile` needs a C++ compiler on a CPU and Triton on a GPU, and finds out at the first call only.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations inside torch
            torch.compile(torch.square)(torch.ones(8))
    except Exception as error:  # noqa: BLE001 - compilers fail in more ways than a list holds
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
    return None


def bfloat16_fallback(device: torch.device) -> str | None:
    """Why bfloat16 is of no use on a device, or None where its products are built in."""
    if device.type == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return "this processor has no bfloat16 products; emulating them would be slower than float32"
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return "this GPU has no bfloat16 products"
    return None
