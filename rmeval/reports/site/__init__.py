"""The leaderboard as a site: pages that open from a disk, and the same as JSON."""
