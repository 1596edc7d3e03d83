"""Engines that serve a reward model elsewhere: what they are asked, and whether they are right."""
