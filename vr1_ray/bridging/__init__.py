"""Cold-start data by modality bridging (Vision-R1, section 3.3.1): images become text, a text-only reasoner
thinks on it, and its chains are given back their images.

    readers/ intake   sources -> rows on disk
    prompts rules     what is asked; what a chain may not say (prompts/*.txt, rules.yaml: edit them)
    stages            pseudo_cot -> description -> reasoning, one row at a time
    asking client     a request: kept reply or new one; limits, retries, several servers
    store             every reply on disk, by the content of its request
    pipeline          the stages on Ray Data, the one module here that knows Ray
    tally output card counts, the dataset's files, the data card
    servers           servers that the run starts itself
    audit             how well the rules see what the rehearsal's scripted servers (`figure_math/`) did wrong

`loops/bridge_loop.py` puts them together.
"""
