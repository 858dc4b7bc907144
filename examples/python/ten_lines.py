from datasets import Dataset

import vr1_ray
from vr1_ray.figure_math.dataset import random_items, to_row


def is_short(reward_input):
    return reward_input.num_tokens <= 2


rows = Dataset.from_list([to_row(*item[:2]) for item in random_items("train", 0, 32)])
config = vr1_ray.load_config("configs/tiny_rl.yaml", ["name=ten_lines"])
result = vr1_ray.run(config, rewards=["hard_format", (is_short, 0.1)], prompts=rows)
print([row["reward/mean"] for row in vr1_ray.read_metrics(config)])
print(vr1_ray.Policy(result["policy"]).ask(rows[0]["problem"], rows[0]["images"])["response"])
