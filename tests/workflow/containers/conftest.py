"""Fixtures for servers in containers: a stand-in for Docker, and a folder to deploy in."""

from helpers.programs.container_place import ask_again, place

__all__ = ["ask_again", "place"]
