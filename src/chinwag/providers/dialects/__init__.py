"""Wire formats, one file each, all pure: a request to bytes, frames to deltas."""
