"""Files that Slipway made and no configuration refers to any more: found, shown and removed."""
