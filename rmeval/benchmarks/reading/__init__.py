"""Rows from files of every kind, and which of their columns say what."""
