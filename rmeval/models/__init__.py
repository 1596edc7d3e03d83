"""Who answers: families of reward models, their checkpoints and their texts."""
