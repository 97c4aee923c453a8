"""Training: the job, the LightningModule, the optimiser, the Trainer and its callbacks."""
