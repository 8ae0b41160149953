"""The search of settings: several trainings, each with others within ranges, of which the best stay as a recipe."""
