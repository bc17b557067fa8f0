"""How figures are drawn: colours, axes, bands, and what a figure hands to the page."""
