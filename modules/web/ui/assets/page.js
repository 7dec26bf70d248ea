// What concerns the page as a whole: language, light and dark, hotkeys, the connection, sizes at hand.

(() => {
    const container = () => document.querySelector(".gradio-container") || document.body;
    const api = () => `${(window.gradio_config && window.gradio_config.root) || ""}${(window.gradio_config && window.gradio_config.api_prefix) || "/gradio_api"}`;

    // ---- language: A1111's format, text -> translation; the last one is kept in the browser, so that nothing flickers

    const KEPT = "easel-localization";
    const ASIDE = ".prompt, .infotext > p, .thumbnails, [id$=_gallery], textarea, pre, .easel-plain, #setting_localization .options";
    try {
        localization = window.localization || JSON.parse(window.localStorage.getItem(KEPT) || "{}");
    } catch (error) {
        localization = {};
    }
    window.localization = localization;

    const written = new WeakMap(); // text node -> what was written there: no key, even where another language has it as one

    const leftAlone = (element) => Object.entries(ignore_ids_for_localization).some(([id, tag]) => element.tagName === tag && element.closest(`#${CSS.escape(id)}`));

    function translateText(node) {
        if (written.get(node) === node.textContent || leftAlone(node.parentElement)) {
            return;
        }
        const found = getTranslation(node.textContent);
        if (found !== undefined && found !== "" && node.textContent.trim() !== found) {
            node.textContent = node.textContent.replace(node.textContent.trim(), () => found);
            written.set(node, node.textContent);
        }
        const bar = node.parentElement.closest(".progressDiv"); // its name is what it says
        const name = bar && getTranslation(bar.getAttribute("aria-label"));
        if (name) {
            bar.setAttribute("aria-label", name);
        }
    }

    function translate(root) {
        if (!Object.keys(localization).length || !root.isConnected) {
            return;
        }
        if (root.nodeType === Node.TEXT_NODE) {
            if (root.parentElement && !root.parentElement.closest(ASIDE)) {
                translateText(root);
            }
            return;
        }
        if (root.nodeType !== Node.ELEMENT_NODE) {
            return;
        }
        const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
        for (let node = walker.nextNode(); node; node = walker.nextNode()) {
            if (node.textContent.trim() && !node.parentElement.closest(`${ASIDE}, script, style`)) {
                translateText(node);
            }
        }
        for (const element of [root, ...root.querySelectorAll("[placeholder], [title], [aria-label]")]) {
            for (const name of ["placeholder", "title", "aria-label"]) {
                const said = element.getAttribute(name);
                const found = said && said.split("\n").map((line) => getTranslation(line) || line).join("\n");
                if (found && found !== said) {
                    element.setAttribute(name, found);
                }
            }
        }
    }

    function speak(now) {
        const same = JSON.stringify(now) === JSON.stringify(localization);
        if (!same) {
            const before = Object.keys(localization).length;
            window.localStorage.setItem(KEPT, JSON.stringify(now));
            if (before) { // what is translated cannot be translated again
                window.location.reload();
                return;
            }
            localization = now;
            window.localization = now;
            translate(document.body);
        }
        document.documentElement.lang = now["@language"] || "en";
    }

    onUiUpdate((records) => {
        for (const record of records || []) {
            record.addedNodes.forEach(translate);
        }
    });
    easelOnForm(() => {
        translate(document.body);
        // where only words change, Gradio changes them in their place: bars of progress, messages
        new MutationObserver((records) => records.forEach((record) => translate(record.target))).observe(document.body, { characterData: true, subtree: true });
    });

    // ---- words under the pointer: `titles` is A1111's table, text or element id -> hint

    Object.assign(titles, {
        "↙️": "Read the parameters in the prompt (or of the last picture) into the form",
        "🗑️": "Delete both prompts",
        "📋": "Write the chosen styles into the prompts",
        "🖌️": "Make and change styles",
        "🔄": "Look at the folders again",
        "🎲️": "A random seed each time",
        "♻️": "The seed of the picture shown",
        "⇅": "Swap width and height",
        "📂": "Open the folder of the pictures",
        "💾": "Save the picture",
        "🗃️": "Save all pictures as a zip file",
        "🖼️": "Send to img2img",
        "🎨️": "Send to inpaint",
        "📐": "Send to Extras",
        "✨": "Hires fix of the picture shown",
        "↺": "Back to the default",
        "🌀": "Show the job under way, or the last one",
        "📎": "Describe the picture (CLIP)",
        "📦": "Describe the picture by tags (DeepBooru)",
        "▭": "Sizes",
        "📝": "Take the prompts of the form",
    });

    function hint() {
        for (const button of document.querySelectorAll("button.tool:not([aria-label]), .tool button:not([aria-label])")) {
            const words = titles[button.textContent.trim()] || titles[button.id];
            if (words) {
                button.title = easelWords(words);
                button.setAttribute("aria-label", easelWords(words));
            }
        }
        // this menu has no label, as in A1111
        document.querySelectorAll("#txt2img_styles input, #img2img_styles input").forEach((box) => { box.placeholder = easelWords("Styles"); });
    }
    // not with each change: Gradio puts a button into the page first, its class and words into the button later
    onAfterUiUpdate(hint);
    onUiLoaded(hint);
    // Gradio names the empty place of a gallery, which needs a role to have a name
    onUiUpdate(() => document.querySelectorAll("div.empty[aria-label]:not([role])").forEach((place) => place.setAttribute("role", "img")));
    easelOnForm(hint);

    // ---- light and dark

    window.easelTurnScheme = () => {
        const dark = !document.body.classList.contains("dark");
        document.body.classList.toggle("dark", dark);
        window.localStorage.setItem("easel-scheme", dark ? "dark" : "light");
    };
    easelOnForm(() => {
        const kept = window.localStorage.getItem("easel-scheme");
        if (kept && !window.easelColorScheme && !new URL(location.href).searchParams.has("__theme")) {
            document.body.classList.toggle("dark", kept === "dark");
        }
    });

    // ---- hotkeys

    const KEYS = [
        ["Ctrl + Enter", "Generate"],
        ["Alt + Enter", "Skip the picture in the making"],
        ["Esc", "Interrupt; close what is open"],
        ["Ctrl + ↑, Ctrl + ↓", "More or less emphasis for the word or the selection"],
        ["Alt + ←, Alt + →", "Move the part between commas"],
        ["Tab, ↑, ↓", "Choose from the suggestions"],
        ["Right click on Generate", "Generate forever"],
        ["?", "This list"],
    ];

    const added = new Map();

    /**
     * For extensions: list hotkeys under "?", below a title of their own. rows: [keys, what they do] each, or a function that
     * gives them, which is asked whenever the list is opened; none hides the title.
     */
    window.easelHotkeys = (title, rows) => added.set(title, rows);

    window.easelShowKeys = () => {
        const row = ([keys, words]) => easelMake("tr", {}, easelMake("th", { scope: "row" }, easelMake("kbd", {}, easelWords(keys))), easelMake("td", {}, easelWords(words)));
        const groups = Array.from(added, ([title, rows]) => [title, typeof rows === "function" ? rows() : rows]).filter(([, rows]) => rows.length);
        easelDialog("Keyboard", easelMake(
            "table",
            { class: "easel-keys" },
            easelMake("tbody", {}, KEYS.map(row)),
            groups.map(([title, rows]) => easelMake("tbody", {}, easelMake("tr", {}, easelMake("th", { scope: "rowgroup", colspan: "2" }, easelWords(title))), rows.map(row))),
        ));
    };

    const press = (name) => {
        const content = get_uiCurrentTabContent();
        const button = content && content.querySelector(`button[id$="_${name}"]`);
        if (button && button.offsetParent !== null && !button.disabled) {
            button.click();
            return true;
        }
        return false;
    };

    document.addEventListener("keydown", (event) => {
        const writing = event.target.closest && event.target.closest("input, textarea, select, [contenteditable=true]");
        if (event.key === "?" && !writing && !event.ctrlKey && !event.metaKey && !document.querySelector("dialog[open]")) {
            event.preventDefault();
            window.easelShowKeys();
        } else if (event.key === "Enter" && event.altKey && press("skip")) {
            event.preventDefault();
        } else if (event.key === "Escape" && !document.querySelector("dialog[open], .easel-menu, .easel-suggestions")) {
            press("interrupt");
        }
    });

    document.addEventListener("click", (event) => {
        const action = event.target.closest && event.target.closest("[data-easel-action]");
        if (action) {
            window[action.dataset.easelAction]();
        }
    });

    // ---- the connection: said when it is lost, and when it is there again

    const PERIOD = 4000;
    let lost = null;

    let server = null; // who answers: another name after each start of Easel

    async function look() {
        let alive = true;
        if (!document.hidden) {
            try {
                const answer = await fetch(`${api()}/app_id`, { cache: "no-store", signal: AbortSignal.timeout(PERIOD * 2) });
                const now = answer.ok ? (await answer.json()).app_id : server;
                if (server && now && now !== server) {
                    window.location.reload(); // what this page knows is of the server that was; keeping.js brings the fields
                    return;
                }
                server = now;
            } catch (error) {
                alive = false;
            }
        }
        if (!alive && !lost) {
            lost = easelMake("div", { class: "easel-lost", role: "alert" }, easelWords("The connection to Easel is lost. Trying again…"));
            container().append(lost);
        } else if (alive && lost && !document.hidden) {
            const line = lost;
            lost = null;
            line.classList.add("found");
            line.textContent = easelWords("Connected again.");
            window.setTimeout(() => line.remove(), 3000);
            for (const tab of ["txt2img", "img2img", "extras"]) {
                const button = gradioApp().getElementById(`${tab}_restore_progress`);
                if (button) {
                    button.click();
                }
            }
        }
        window.setTimeout(look, lost ? 1000 : PERIOD);
    }
    easelOnForm(look);

    // ---- sizes at hand

    const SHAPES = [[1, 1], [5, 4], [4, 3], [3, 2], [16, 9], [21, 9]];

    window.easelSetNumber = (id, value) => {
        const field = gradioApp().querySelector(`#${id} input[type=number]`);
        if (field) {
            field.value = value;
            updateInput(field);
            field.dispatchEvent(new Event("blur", { bubbles: true }));
        }
    };

    function sizes(tab, button) {
        const now = (name) => Number(gradioApp().querySelector(`#${tab}_${name} input[type=number]`).value) || 512;
        const area = now("width") * now("height");
        const grid = (value) => Math.max(64, Math.round(value / 8) * 8);
        const upright = now("height") > now("width");
        const entries = SHAPES.map(([wide, high]) => {
            const [a, b] = upright ? [high, wide] : [wide, high];
            const width = grid(Math.sqrt((area * a) / b));
            return [`${a}:${b}  ·  ${width} × ${grid((width * b) / a)}`, width, grid((width * b) / a)];
        });
        for (const side of [512, 768, 1024]) {
            entries.push([`${side} × ${side}`, side, side]);
        }
        easelMenu(button, entries.map(([words, width, height]) => [words, () => {
            window.easelSetNumber(`${tab}_width`, width);
            window.easelSetNumber(`${tab}_height`, height);
        }]));
    }

    document.addEventListener("click", (event) => {
        const button = event.target.closest && event.target.closest("#txt2img_aspect_btn, #img2img_aspect_btn");
        if (button) {
            event.stopPropagation();
            sizes(button.id.split("_")[0], button);
        }
    }, true);

    // ---- the size that hires fix leads to

    function finalSize() {
        const place = gradioApp().querySelector("#txtimg_hr_finalres");
        const now = (id) => Number((gradioApp().querySelector(`#txt2img_${id} input[type=number]`) || {}).value) || 0;
        if (!place || place.offsetParent === null) {
            return;
        }
        const [width, height, x, y] = [now("width"), now("height"), now("hr_resize_x"), now("hr_resize_y")];
        let [wide, high] = [Math.floor(width * now("hr_scale")), Math.floor(height * now("hr_scale"))];
        if (x || y) {
            [wide, high] = [x || Math.floor((y * width) / height), y || Math.floor((x * height) / width)];
        }
        const words = `${width}×${height} → ${wide}×${high}`;
        const holder = place.querySelector(".prose, .html-container") || place;
        if (holder.textContent !== words) {
            holder.textContent = words;
        }
    }
    document.addEventListener("input", () => window.setTimeout(finalSize, 50));
    document.addEventListener("change", () => window.setTimeout(finalSize, 400));

    // ---- what the server tells this part of the page

    easelParts.page = (holder, ask) => {
        holder.hidden = true;
        easelSuggesters.push((word) => ask("suggest", { word }));
        ask("language").then(speak, () => {});
    };
})();
