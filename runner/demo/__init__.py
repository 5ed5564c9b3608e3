"""The demo: the whole circle, on real parts, on one machine. `acts` is the play, `stage` is what it stands on."""

from runner.demo.acts import play

__all__ = ["play"]
