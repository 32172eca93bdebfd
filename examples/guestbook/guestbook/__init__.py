"""A guest book whose data is in Hornbeam's shared state."""
