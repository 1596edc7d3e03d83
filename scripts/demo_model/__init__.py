"""What scripts/train_demo_model.py is made of: pairs, tokenizer and checkpoint, card."""
