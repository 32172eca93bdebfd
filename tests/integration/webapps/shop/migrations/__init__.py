"""The tables of the articles."""
