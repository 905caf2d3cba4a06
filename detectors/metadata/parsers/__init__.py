"""``EmbeddedFields`` -> ``Claim``: one small parser per tool that writes how it made a picture."""
