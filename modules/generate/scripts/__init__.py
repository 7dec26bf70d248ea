"""Scripts: what makes many pictures of one request (plots, prompt matrices, loops, tiles). One file a script.

    registry     Script, Argument, Scripts: the table, in A1111's order; extensions add to it
    builtin      the rows of that table
    context      what a running script is given: `make` one cell, `keep` a picture of its own
    running      a job of the kind "script" from its row to its result
    axes, values what X/Y/Z plots vary, and how their values are written
    always_on    the scripts that A1111 runs with every request

A script is a plain function (context, request, arguments) -> Result. Every cell that `context.make` has finished is on
the disk (`jobs.cells`), so that a script that was killed and starts again from its beginning runs through what is there
and makes only what is missing. It must therefore ask for the same cells in the same order every time: what is random
comes from `context.random`.
"""
