"""Every exception that spectm raises on purpose: each derives from `SpectmError` and from a builtin."""

__all__ = [
    "AlertError",
    "ApplicabilityError",
    "AttributionError",
    "BandNotFoundError",
    "BusyError",
    "CalibrationError",
    "CheckpointError",
    "ConfigError",
    "CubeError",
    "EmptyRegionError",
    "FetchError",
    "FlagError",
    "GranuleError",
    "LabelError",
    "LeakageError",
    "LoginError",
    "MaskError",
    "OpticsError",
    "OriginError",
    "OutputError",
    "PatchError",
    "PointsError",
    "RegionError",
    "ReportError",
    "ScoreError",
    "SensorError",
    "SimulationError",
    "SpectmError",
    "SpectraError",
    "SplitError",
    "StoreError",
    "ThresholdError",
    "TrainingError",
]


class SpectmError(Exception):
    """Anything that spectm refuses, with what was wanted, what was found, where, and what to try."""


class BandNotFoundError(SpectmError, LookupError):
    """A band list holds no band near a wanted wavelength."""


class SensorError(SpectmError, ValueError):
    """A band list, sensor name or window set that can't be used."""


class OpticsError(SpectmError, ValueError):
    """A water that can't be, or a wavelength that the bio-optical model does not know."""


class ConfigError(SpectmError, ValueError):
    """A setting that does not exist, or has the wrong type or value."""


class LabelError(SpectmError, ValueError):
    """A laboratory file that can't be trusted: unknown layout, impossible date, negative value."""


class RegionError(SpectmError, ValueError):
    """A box of longitude and latitude that can't be used."""


class FetchError(SpectmError, OSError):
    """Files that could not be searched for, or not all fetched."""


class LoginError(FetchError, PermissionError):
    """Earthdata credentials that are missing or refused."""


class GranuleError(SpectmError, ValueError):
    """A file of the archive that is damaged, of another product, or without what it should hold."""


class EmptyRegionError(GranuleError):
    """A file of the archive that does not reach the region asked for."""


class FlagError(SpectmError, LookupError):
    """A quality flag that a file does not know."""


class CubeError(SpectmError, ValueError):
    """A cube that is damaged, of another format, or made with other settings."""


class OriginError(SpectmError, ValueError):
    """Real and simulated data where one kind is wanted."""


class OutputError(SpectmError, OSError):
    """A file that can't be written where it is wanted."""


class PatchError(SpectmError, ValueError):
    """A patch file of the wrong layout, units or wavelengths."""


class SpectraError(SpectmError, ValueError):
    """A table of spectra that can't be read as described, or lacks its target."""


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


class SimulationError(SpectmError, ValueError):
    """A simulation that can't be: an impossible place or time, or a lake that lacks a field."""


class CalibrationError(SpectmError, ValueError):
    """Residuals that no predictive distribution can be learned from, or a damaged calibration."""


class ThresholdError(SpectmError, ValueError):
    """A threshold profile that does not exist or is not written as it should be."""


class ApplicabilityError(SpectmError, ValueError):
    """Spectra that the familiarity of others can't be judged from, or judged with other parts."""


class AttributionError(SpectmError, ValueError):
    """Spectra that an estimate can't be attributed to, or a function without finite gradients."""


class StoreError(SpectmError, ValueError):
    """A store of predictions that is damaged, of another format, or made with another model or cube."""


class PointsError(SpectmError, ValueError):
    """A table of places that can't be read as one."""


class BusyError(SpectmError, RuntimeError):
    """Something can't be answered now, and can be a little later."""


class AlertError(SpectmError, ValueError):
    """Rules of alerts that can't be used, or a journal of alerts that is damaged or in use."""
