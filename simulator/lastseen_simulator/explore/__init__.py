"""Every schedule of a small scope, over the real session and the real gateway."""
