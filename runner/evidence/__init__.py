"""Evidence as a file: what was judged, how, and what was measured, sealed so that a change of it shows."""
