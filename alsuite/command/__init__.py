"""What the command line asks for: which runs, side by side, with their progress, and what each depends on."""
