"""What the subcommands of `glore` do. None of these modules imports torch."""
