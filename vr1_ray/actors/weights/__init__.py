"""How weights get from the trainer to every engine: one set of verbs, three transports."""
