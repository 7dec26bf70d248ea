onUiLoaded(() => console.info("The template extension is here."));
