"""The command lines: each module has the options of one and its `main`; `keras_fcn.commands.console` starts them."""
