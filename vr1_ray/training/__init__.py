"""How the policy learns: rows, batches, log-probabilities, the DeepSpeed trainer and its checkpoints.

`policy_trainer.py` is the place to start. Importing this package loads nothing; its modules are imported
by name, because only some of them need torch.
"""
