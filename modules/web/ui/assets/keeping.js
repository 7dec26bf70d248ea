// What was typed into the forms is still there after the page was loaded again: by the reader, or by Gradio, which does so
// of itself when a lost connection comes back. Kept in this browser tab only; a page opened anew begins as always.

(() => {
    const KEPT = "easel-kept";
    const FORMS = ["tab_txt2img", "tab_img2img"];
    const FIELDS = 'textarea, input[type="number"], input[type="checkbox"], input[type="radio"], input[role="combobox"]';
    const beginning = new Map();

    /** [name, element] of every field of the forms; the name is its widget's id and its place there. */
    function fields() {
        const found = [];
        for (const form of FORMS.map((id) => document.getElementById(id)).filter(Boolean)) {
            const counts = {};
            for (const field of form.querySelectorAll(FIELDS)) {
                const widget = field.closest(".easel-part, .easel-panel-over, [id]:not([id^='range_id'], input, textarea)");
                if (widget && widget.id && !widget.matches(".easel-part, .easel-panel-over") && !field.closest(".easel-part, .easel-panel-over")) {
                    counts[widget.id] = (counts[widget.id] || 0) + 1;
                    found.push([`${widget.id}/${counts[widget.id]}`, field]);
                }
            }
        }
        return found;
    }

    const several = (field) => field.closest(".wrap-inner") && field.closest(".wrap-inner").querySelector(".token") !== null;
    const value = (field) => {
        if (["checkbox", "radio"].includes(field.type)) {
            return field.checked;
        }
        const chosen = field.getAttribute("role") === "combobox" && several(field) ? Array.from(field.closest(".wrap-inner").querySelectorAll(".token > span"), (token) => token.textContent.trim()) : null;
        return chosen || field.value;
    };
    const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

    function begin() {
        for (const [name, field] of fields()) {
            if (!beginning.has(name)) {
                beginning.set(name, value(field));
            }
        }
    }

    function keep() {
        const changed = kept ? { ...kept.changed } : {}; // left again before all was brought back
        for (const [name, field] of fields()) {
            if (beginning.has(name) && !same(beginning.get(name), value(field))) {
                changed[name] = value(field);
            }
        }
        const tab = document.querySelector('#tabs button[role="tab"][aria-selected="true"]');
        window.sessionStorage.setItem(KEPT, JSON.stringify({ changed, tab: tab ? tab.id : null }));
    }

    const pause = (milliseconds) => new Promise((done) => window.setTimeout(done, milliseconds));

    /** Take an entry of a menu as a pointer would. */
    async function choose(field, words) {
        field.focus();
        await pause(60);
        const entry = Array.from(document.querySelectorAll('[role="option"]')).find((option) => option.getAttribute("aria-label") === words);
        if (entry) {
            entry.dispatchEvent(new MouseEvent("mousedown", { bubbles: true, cancelable: true }));
        }
        field.blur();
        await pause(60);
    }

    async function restore(field, wanted) {
        if (["checkbox", "radio"].includes(field.type)) {
            if (field.checked !== wanted && (wanted || field.type === "checkbox")) {
                field.click();
            }
        } else if (field.getAttribute("role") === "combobox") {
            for (const words of [wanted].flat()) {
                await choose(field, words);
            }
        } else {
            field.value = wanted;
            updateInput(field);
            field.dispatchEvent(new Event("blur", { bubbles: true }));
        }
    }

    let kept = null;

    /** Fields that stand as they did when the page was opened: the reader may have been quicker. */
    const untouched = () => fields().filter(([name, field]) => name in kept.changed && same(beginning.get(name), value(field)));
    const menu = (field) => field.getAttribute("role") === "combobox";

    async function restoreFields() {
        for (const [, field, wanted] of untouched().map(([name, field]) => [name, field, kept.changed[name]])) {
            if (!menu(field)) {
                await restore(field, wanted);
            }
        }
    }

    async function restoreMenus() {
        const menus = untouched().filter(([, field]) => menu(field));
        const focus = document.activeElement;
        for (const [name, field] of menus) {
            await restore(field, kept.changed[name]);
        }
        if (menus.length && focus && focus.focus) {
            focus.focus({ preventScroll: true });
        }
    }

    function restoreTab() {
        const tab = kept.tab && document.getElementById(kept.tab);
        const open = document.querySelector('#tabs button[role="tab"][aria-selected="true"]');
        if (tab && open && open.id === "tab_txt2img-button" && tab !== open) {
            tab.click();
        }
    }

    /** The reader set this widget: it is the reader's from now on, even where it stands as it began. */
    function forget({ isTrusted, type, target }) {
        const ticked = ["checkbox", "radio"].includes(target.type);
        if (kept && isTrusted && ticked === (type === "click")) { // a click of the page's own also makes a trusted input event
            const widget = (name) => name.slice(0, name.lastIndexOf("/"));
            const own = fields().filter(([, field]) => field === target).map(([name]) => widget(name));
            kept.changed = Object.fromEntries(Object.entries(kept.changed).filter(([name]) => !own.includes(widget(name))));
        }
    }

    /** What was kept, if this page is one that was loaded again; a page that is left before it was restored keeps it. */
    function read() {
        const [entry] = window.performance.getEntriesByType("navigation");
        const found = JSON.parse(window.sessionStorage.getItem(KEPT) || "null");
        return entry && entry.type === "reload" ? found : null;
    }

    const failed = (error) => console.warn("What was typed could not be brought back:", error);

    // fields as soon as each is there, once more if Gradio set one again; menus open for a moment, so they come last
    let looking = 0;
    const fill = () => {
        begin();
        if (kept) {
            restoreFields().catch(failed);
        }
    };
    easelOnForm(() => {
        kept = read();
        fill();
        looking = window.setInterval(fill, 150); // how a field began is known before anybody can have changed it
    });
    onUiLoaded(() => {
        window.clearInterval(looking);
        begin();
        if (kept) {
            restoreFields().then(restoreMenus).then(restoreTab).catch(failed).finally(() => { kept = null; });
        }
    });
    for (const type of ["click", "input"]) {
        document.addEventListener(type, forget, true);
    }
    window.addEventListener("pagehide", keep);
})();
