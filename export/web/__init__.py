"""A static folder with a trained network and the page that runs it in browsers: `python -m export.web RUN DIR`."""
