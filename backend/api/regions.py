"""How a route asks for a region: four figures in pixels of a pyramid level."""

from typing import Annotated

from fastapi import Query

Top = Annotated[int, Query(ge=0, description="First row, in the level's pixels.")]
Left = Annotated[int, Query(ge=0, description="First column.")]
Rows = Annotated[int | None, Query(ge=1, description="Rows; to the edge if not given.")]
Columns = Annotated[int | None, Query(ge=1, description="Columns.")]
