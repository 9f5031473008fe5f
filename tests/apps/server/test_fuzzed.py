"""The interface asked by a machine that has read its description."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from spectm.apps.server.app import Bounds, create_app
from spectm.apps.server.areas import Area

pytestmark = pytest.mark.slow


def test_answers_as_it_says_whatever_is_asked(area: Area) -> None:
    app = create_app({"week": area}, Bounds(rate=1e9, reserve=1e9))
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 12
    for operation in operations:

        @settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def ask(case: schemathesis.Case) -> None:
            # No server error, and an answer of the shape that is described. That a body is a polygon, and not
            # merely an object, no description can say.
            case.call_and_validate(excluded_checks=[positive_data_acceptance])

        ask()
