"""Extensions: finding them, loading them in order, and what they are handed.

api         ExtensionApi: the one thing that an author reads (see docs/extensions.md)
extension   one extension: where it lies, what became of it
manifest    extension.toml and A1111's metadata.ini
finding     folders and their order
state       which are wanted; what to do about one that ended the program
loading     importing an extension's code, and forgetting it
house       the tables of the program that extensions add to
routes      routes that come and go
desk        all of it together: load, unload, reload, list
guest       what is asked of the room for A1111's extensions
"""
