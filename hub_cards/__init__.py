"""Templates of cards for the Hub (Jinja); `rablip.hub.cards` fills them in and puts the metadata before them."""

__all__: list[str] = []
