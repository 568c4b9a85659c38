"""How well the risk monitor finds fraud: its rules over what simulated meters report, scored with the labels that it never sees."""
