"""Resumable realtime feeds as a pure state machine."""
