"""Extensions from elsewhere: installed, updated, uninstalled and rolled back, each time whole or not at all.

sources   which addresses are taken, and what is hidden of them
git       git as a program of its own: no prompts, no hooks, known protocols; bare mirrors keep every commit installed
packages  Python requirements: compared with what Easel pins, looked for in a dry run, installed, put back
trial     extension.py registered, or scripts parsed, in a process of its own
works     temporary folders: what a killed installer left is put back or swept away
lock      extensions.lock.json: every state of all extensions, with its date
index     lists of extensions, in A1111's form
manager   the acts, in this order; `modules.app` makes one `Manager`
"""
