"""Clients to run the suite against. Each is a program; nothing here is imported by the suite."""
