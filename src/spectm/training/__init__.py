"""Where data meets model: checkpoints, the loop, pretraining and fine-tuning."""
