"""vr1_ray: Vision-R1 (https://arxiv.org/abs/2503.06749) trained with reinforcement learning on Ray actors.

The package is a house of floors; a room imports only rooms below it (`vr1_ray/README.md` draws it):

    cli -> loops -> actors -> rollout | training -> data | rewards | algorithms | curriculum | models | tracking
        -> config | types
"""

__version__ = "0.1.0"
