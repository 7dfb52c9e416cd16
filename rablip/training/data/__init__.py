"""What training shows: pools, rows, candidates, distractors, mined negatives and labels, and where they come from."""

__all__: list[str] = []
