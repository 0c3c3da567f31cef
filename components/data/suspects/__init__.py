"""Labels that are likely wrong, by what models say of images they were not trained on."""
