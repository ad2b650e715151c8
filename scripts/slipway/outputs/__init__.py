"""The outputs of a model: their meaning, checks of answers, and answers in words."""
