"""Erlang's strengths for Python: shared state, messages and calls."""

from ._hornbeam import Atom, Pid, Ref, Term

__all__ = ["Atom", "Pid", "Ref", "Term"]
