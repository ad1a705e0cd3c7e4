"""The areas of the API: arguments in, models out."""
