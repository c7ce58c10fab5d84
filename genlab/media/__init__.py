import logging

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it reports on its cache and fonts, which nothing depends on
