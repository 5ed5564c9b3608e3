"""One file per arrow of the story, in its order."""
