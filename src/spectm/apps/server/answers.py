"""What the interface answers, field by field. Missing numbers are null; concentrations are ug/L."""

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "AreaAnswer",
    "AreaSummary",
    "Exceedance",
    "ExplanationAnswer",
    "ExplanationPart",
    "Health",
    "HorizonAnswer",
    "LookAnswer",
    "PeriodAnswer",
    "PointAnswer",
    "PolygonAnswer",
    "PolygonHorizon",
    "Refusal",
    "SeriesAnswer",
    "SpectrumAnswer",
    "StationAnswer",
    "ThresholdAnswer",
]


class Answer(BaseModel):
    """Fields are those that are named, no others."""

    model_config = ConfigDict(extra="forbid")


class Refusal(Answer):
    """Why something was not answered."""

    detail: str = Field(description="What was wanted, what was found, what to try.")


class Health(Answer):
    """That the server answers."""

    status: str
    version: str


class AreaSummary(Answer):
    """One store that is served."""

    id: str
    title: str
    simulated: bool
    bounds: tuple[float, float, float, float] = Field(description="West, south, east, north; degrees.")


class ThresholdAnswer(Answer):
    """One value of a profile."""

    profile: str
    profile_title: str
    source: str
    date: str
    name: str
    value: float = Field(description="ug/L")
    medium: str = Field(description="Which water the threshold is about.")
    what: str


class LookAnswer(Answer):
    """How a quantity is coloured."""

    title: str
    label: str
    logarithmic: bool
    low: float
    high: float
    ticks: list[float]
    stops: list[tuple[float, str]] = Field(description="Values and their colours.")


class AreaAnswer(AreaSummary):
    """What a store is, and how it is shown."""

    banner: str = Field(description="To be shown beside every number.")
    about: str
    caveat: str
    model: str
    spectm_version: str
    cell_degrees: float
    horizons: list[float] = Field(description="Days ahead.")
    levels: list[float]
    detection_limit: float
    latest: str = Field(description="First day of the latest period that holds an estimate.")
    thresholds: list[ThresholdAnswer]
    looks: dict[str, LookAnswer]
    unseen: str = Field(description="Colour of water that was not seen.")
    can_explain: bool


class PeriodAnswer(Answer):
    """Days that were seen together."""

    first: str
    last: str
    label: str
    ahead_label: str = Field(description="Days that the forecast is about.")
    n_estimates: int
    n_flagged: int


class Exceedance(Answer):
    """Probability to lie above a threshold."""

    threshold: float
    probability: float | None


class HorizonAnswer(Answer):
    """An estimate and how sure it is. A lower end at the detection limit is open."""

    horizon: float
    about: str = Field(description="Days that it is about.")
    microcystin: float | None
    low50: float | None
    high50: float | None
    low90: float | None
    high90: float | None
    below_detection_probability: float | None
    exceedance: list[Exceedance]


class PointAnswer(Answer):
    """All that is known of one cell in one period."""

    latitude: float
    longitude: float
    cell: str
    period: PeriodAnswer
    reason: str | None = Field(description="Why there is no estimate.")
    n_observations: int
    pixel_age_days: float | None
    flagged: bool = Field(description="The spectrum is unlike those learned from.")
    reasons: list[str]
    estimates: list[HorizonAnswer]


class StationAnswer(Answer):
    """A named place and its cell's estimates."""

    name: str
    latitude: float
    longitude: float
    flagged: bool
    estimates: list[HorizonAnswer]


class SeriesAnswer(Answer):
    """One period of a place."""

    first: str
    last: str
    about: str = Field(description="Middle of the days that it is about.")
    microcystin: float | None
    low50: float | None
    high50: float | None
    low90: float | None
    high90: float | None
    flagged: bool
    pixel_age_days: float | None
    laboratory: float | None = Field(description="Mean of the laboratory's values of the days it is about.")
    laboratory_below_detection: bool


class SpectrumAnswer(Answer):
    """Reflectance of a cell, and what the model infers of the bands that it hides in training."""

    wavelength: list[float] = Field(description="nm")
    Rrs: list[float | None] = Field(description="sr-1")
    inferred: list[float | None] = Field(description="sr-1; null outside the hidden windows.")
    windows: list[tuple[float, float]]
    simulated: bool


class ExplanationPart(Answer):
    """One step from the laboratory's average to the estimate."""

    name: str
    change_log10: float
    spread_log10: float | None = Field(description="Over the models of the ensemble.")
    about: str


class ExplanationAnswer(Answer):
    """What an estimate rests on."""

    start: float = Field(description="The laboratory's average, ug/L, where the parts start.")
    estimate: float
    parts: list[ExplanationPart]
    text: str


class PolygonHorizon(Answer):
    """Cells of an area at one horizon, each by itself."""

    horizon: float
    about: str
    median: float | None = Field(description="Of the cells' estimates.")
    highest: float | None
    exceedance: list["PolygonExceedance"]


class PolygonExceedance(Answer):
    """How much of an area may lie above a threshold."""

    threshold: float
    mean_probability: float | None
    expected_km2: float | None


class PolygonAnswer(Answer):
    """What is known of an area; cells depend on each other, so nothing is said of any or all of them."""

    n_cells: int = Field(description="Of water, as far as it is known.")
    n_estimates: int
    area_km2: float
    seen_share: float | None
    flagged_share: float | None = Field(description="Of the cells with an estimate.")
    horizons: list[PolygonHorizon]
