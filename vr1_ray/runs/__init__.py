"""What a run keeps and how it goes on: its folder, checkpoints, cards, clock; stopping, resuming, going back after a loss."""
