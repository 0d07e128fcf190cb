"""Holds the server of the embedded simulator: its sockets, wire protocol, race phases and race files."""
