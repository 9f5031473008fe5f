"""Every exception that spectm raises on purpose: each derives from `SpectmError` and from a builtin."""

__all__ = [
    "BandNotFoundError",
    "CheckpointError",
    "ConfigError",
    "LabelError",
    "LeakageError",
    "MaskError",
    "PatchError",
    "ReportError",
    "ScoreError",
    "SensorError",
    "SpectmError",
    "SplitError",
    "TrainingError",
]


class SpectmError(Exception):
    """Anything that spectm refuses, with what was wanted, what was found, where, and what to try."""


class BandNotFoundError(SpectmError, LookupError):
    """A band list holds no band near a wanted wavelength."""


class SensorError(SpectmError, ValueError):
    """A band list, sensor name or window set that can't be used."""


class ConfigError(SpectmError, ValueError):
    """A setting that does not exist, or has the wrong type or value."""


class LabelError(SpectmError, ValueError):
    """A laboratory file that can't be trusted: unknown layout, impossible date, negative value."""


class PatchError(SpectmError, ValueError):
    """A patch file of the wrong layout, units or wavelengths."""


class SplitError(SpectmError, ValueError):
    """Rows that can't be split as asked: too few dates, or nothing left to train on."""


class MaskError(SpectmError, ValueError):
    """A mask that can't be drawn as asked."""


class CheckpointError(SpectmError, ValueError):
    """A checkpoint that is damaged, of another format, or does not fit the data."""


class TrainingError(SpectmError, ValueError):
    """Training that can't start, or has left the finite numbers."""


class LeakageError(SpectmError, ValueError):
    """Something of the test set would reach what is learned."""


class ScoreError(SpectmError, ValueError):
    """Predictions that can't be scored: missing values, another length, a name nobody knows."""


class ReportError(SpectmError, ValueError):
    """A run folder that can't be reported on: a file missing, damaged, or of another program."""
