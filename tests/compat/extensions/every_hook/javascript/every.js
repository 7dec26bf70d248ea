window.everyHook = typeof gradioApp === "function";
