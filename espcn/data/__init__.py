"""Image sets, patches, and the LightningDataModule that serves them."""
