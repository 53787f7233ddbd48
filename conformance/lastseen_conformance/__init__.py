"""Tests for other people's clients of resumable feeds."""
