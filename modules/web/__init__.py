"""The faces of the program: `api` (A1111's REST interface) and `ui` (the page); each gets one `Services`."""
