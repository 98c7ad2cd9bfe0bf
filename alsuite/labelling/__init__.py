"""Labels by hand: sheets to fill in, and a page on this machine that fills them in."""
