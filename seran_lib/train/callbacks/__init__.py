"""What happens around a training step, as fastai callbacks."""
