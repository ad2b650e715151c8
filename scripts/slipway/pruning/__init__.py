"""Find, show and remove files that Slipway made and no configuration refers to any more."""
