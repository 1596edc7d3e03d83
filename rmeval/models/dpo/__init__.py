"""Language models trained by DPO, whose reward is in what they say."""
