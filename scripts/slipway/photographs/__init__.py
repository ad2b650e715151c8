"""Photographs: how they are found, labelled and made the input of a model, and what is answered to them."""
