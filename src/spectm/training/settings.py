"""All settings of pretraining and fine-tuning, as one TOML file has them."""

from dataclasses import dataclass, field

from spectm.errors import ConfigError
from spectm.model.encoder import EncoderConfig
from spectm.model.masking import MaskingConfig
from spectm.model.preprocess import PreprocessConfig
from spectm.model.spectm import ObjectiveConfig
from spectm.spectral.indices import Index
from spectm.spectral.own_indices import index_set
from spectm.spectral.windows import WindowSet, named_windows
from spectm.training.loop import LoopConfig

__all__ = ["FinetuneConfig", "IndicesConfig", "PretrainConfig", "Settings", "WindowsConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsConfig:
    """The diagnostic windows: a named set, or ranges in nm such as ``["615-640", "660-680"]``."""

    set: str = "cyanobacteria"
    ranges: tuple[str, ...] = ()
    half_width_nm: float = 0.0

    def window_set(self) -> WindowSet:
        """The windows themselves.

        Raises
        ------
        ConfigError
            If a range is not two numbers, the smaller first.
        """
        if not self.ranges:
            return named_windows(self.set, half_width_nm=self.half_width_nm)
        return WindowSet.from_limits("own", map(_limits, self.ranges), half_width_nm=self.half_width_nm)


def _limits(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split("-"))
    except ValueError as error:
        raise ConfigError(f"a window is a range in nm such as '615-640'; found {text!r}") from error
    return low, high


@dataclass(frozen=True, slots=True, kw_only=True)
class IndicesConfig:
    """Spectral indices: those that ship, made for water, and one's own.

    Parameters
    ----------
    built_in : bool
        Whether those that ship are used, as far as the bands support them.
    own : tuple of str
        ``["ndre = (r750 - r705) / (r750 + r705)"]``, or the name of an index registered in Python.
    """

    built_in: bool = True
    own: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for text in self.own:
            if "=" in text:  # those of Python may be registered later
                index_set([text])

    def chosen(self) -> dict[str, Index]:
        """The indices, by name.

        Raises
        ------
        ConfigError
            If nothing is registered under a name.
        """
        return index_set(self.own, built_in=self.built_in)


def _check_share(name: str, share: float) -> None:
    if not 0 <= share < 1:
        raise ConfigError(f"{name} wants a share of the dates from 0 to below 1, found {share}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig:
    """Pretraining: the loop, and the share of dates kept for validation."""

    loop: LoopConfig = field(default_factory=LoopConfig)
    validation_share: float = 0.15

    def __post_init__(self) -> None:
        _check_share("pretraining.validation_share", self.validation_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneConfig:
    """Fine-tuning: a few small steps from the ridge regression that the head starts as.

    Parameters
    ----------
    loop : LoopConfig
        The head reads some 2,000 standardised features at once, so that a step of 2e-5 already moves an
        estimate by about 0.04 in log10.
    validation_share : float
        Share of the training dates kept for early stopping; 0 trains for all steps. With a hundred rows the
        dates are worth more in training.
    encoder_rate : float
        Learning rate of the encoder as a share of the head's; 0 freezes it.
    """

    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(steps=10, batch_size=64, learning_rate=2e-5, validate_every=5)
    )
    validation_share: float = 0.0
    encoder_rate: float = 1.0

    def __post_init__(self) -> None:
        _check_share("finetuning.validation_share", self.validation_share)
        if not self.encoder_rate >= 0:
            raise ConfigError(f"finetuning.encoder_rate wants 0 or more, found {self.encoder_rate}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting of a model: what a TOML file may hold, section by section."""

    windows: WindowsConfig = field(default_factory=WindowsConfig)
    indices: IndicesConfig = field(default_factory=IndicesConfig)
    masking: MaskingConfig = field(default_factory=MaskingConfig)
    preprocess: PreprocessConfig = field(default_factory=PreprocessConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    pretraining: PretrainConfig = field(default_factory=PretrainConfig)
    finetuning: FinetuneConfig = field(default_factory=FinetuneConfig)
