"""Language models as judges: what they are asked, who answers, and what an answer is worth."""
