"""The endpoints of the API, one module for each group, and what they share."""
