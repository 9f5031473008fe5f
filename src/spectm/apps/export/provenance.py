"""What every exported file says of itself."""

from spectm.apps.columns import ABOUT
from spectm.apps.store import Store
from spectm.trust.thresholds import CAVEAT

__all__ = ["INFORMS", "made_up", "provenance"]

INFORMS = "This informs and decides nothing: it replaces no laboratory sample and no advisory."


def provenance(store: Store) -> dict[str, str]:
    """Short facts on where predictions come from, by name, as text."""
    record = store.record
    model, data = record["model"], record["data"]
    return {
        "model": str(model["name"]),
        "model_weights_sha256": str(model["weights_sha256"]),
        "data": str(data["title"]),
        "data_source": str(data["source"]),
        "data_layout_sha256": str(data["layout_sha256"]),
        "thresholds": "; ".join(f"{one.name}: {one.source} ({one.date})" for one in store.profiles),
        "spectm_version": str(record["spectm_version"]),
        "predicted": str(record["written"]),
        "simulated": "1" if store.simulated else "0",
        "about": ABOUT,
        "caveat": f"{CAVEAT} {INFORMS}",
    }


def made_up(store: Store) -> str:
    """What of the predictions is simulated, in words; empty where nothing is."""
    lake, model = store.record["data"]["simulated"], store.record["model"]["simulated"]
    if lake and model:
        return (
            "Simulated. Nothing here was measured: the lake, the satellite’s data and the laboratory’s "
            "values come from a computer model. It says nothing about any real water."
        )
    if lake:
        return (
            "Simulated. The lake and the satellite’s data come from a computer model; only the model that "
            "reads them learned from measurements. It says nothing about any real water."
        )
    if model:
        return (
            "Made with a simulated lake. The satellite’s data are measured, but the model that reads them "
            "learned from a computer’s lake alone: nobody knows how right it is about real water."
        )
    return ""
