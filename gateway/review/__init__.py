"""What the policy withheld, kept encrypted for a person to look at: cases, appeals, decisions, a labelled set."""
