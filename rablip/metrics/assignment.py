"""The best one-to-one assignment between two sets of things, by the Hungarian method."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["find_best_assignment"]


def find_best_assignment(scores: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """The pairs of rows and columns, each used at most once, whose scores add up to the most.

    Rows are brought in one after another. Every time the cheapest chain of re-assignments that frees a column is
    looked for with the potentials of rows and columns (shortest augmenting paths; Jonker and Volgenant 1987), which
    takes O(rows^2 * columns) where there are fewer rows, and the other way round.

    Args:
        scores: (num_rows, num_columns) finite scores; may be empty.

    Returns:
        The pairs `(row, column)`, as many as the shorter side has, by row.

    Raises:
        ValueError: when the rows differ in length.

    Example:
        >>> find_best_assignment([[0.9, 0.8], [0.8, 0.1]])  # 0.8 + 0.8 is more than 0.9 + 0.1
        [(0, 1), (1, 0)]
    """
    if len({len(row) for row in scores}) > 1:
        raise ValueError(f"All rows of scores must have one length, but have {sorted({len(row) for row in scores})}.")
    if not scores or not scores[0]:
        return []
    if len(scores) > len(scores[0]):
        turned = [list(column) for column in zip(*scores, strict=True)]
        return sorted((row, column) for column, row in find_best_assignment(turned))
    num_columns = len(scores[0])
    row_potentials = [0.0] * len(scores)
    column_potentials = [0.0] * num_columns
    row_of: list[int | None] = [None] * num_columns
    for new_row in range(len(scores)):
        _bring_in(new_row, scores, row_potentials, column_potentials, row_of)
    return sorted((row, column) for column, row in enumerate(row_of) if row is not None)


def _bring_in(
    new_row: int,
    scores: Sequence[Sequence[float]],
    row_potentials: list[float],
    column_potentials: list[float],
    row_of: list[int | None],
) -> None:
    """Assign one more row, moving others along the shortest augmenting path; potentials stay feasible."""
    distances = [float("inf")] * len(row_of)  # of the shortest path to each column, over reduced costs
    came_from: list[int | None] = [None] * len(row_of)  # the column before it on that path; None: the new row itself
    unvisited = list(range(len(row_of)))
    visited: list[tuple[int, int]] = []  # columns of the path tree, each with the row that holds it
    row, distance = new_row, 0.0
    column: int | None = None
    while True:
        for other in unvisited:
            cost = distance - scores[row][other] - row_potentials[row] - column_potentials[other]
            if cost < distances[other]:
                distances[other], came_from[other] = cost, column
        column = min(unvisited, key=distances.__getitem__)
        unvisited.remove(column)
        distance = distances[column]
        owner = row_of[column]
        if owner is None:
            break
        visited.append((column, owner))
        row = owner
    row_potentials[new_row] += distance
    for other, owner in visited:
        row_potentials[owner] += distance - distances[other]
        column_potentials[other] -= distance - distances[other]
    while column is not None:
        before = came_from[column]
        row_of[column] = new_row if before is None else row_of[before]
        column = before
